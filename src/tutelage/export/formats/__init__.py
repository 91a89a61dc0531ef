"""The formats that a student is written in, one a file."""

from tutelage.export.formats.register import FORMATS

__all__ = [
    "FORMATS",
]
