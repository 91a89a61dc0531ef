"""What leaves the house: the student in other formats, its model card, the hub."""

from tutelage.export.student import Student, load_student

__all__ = ["Student", "load_student"]
