"""What leaves the house: the student in other formats, its model card, the hub; predictions and comparisons."""

from tutelage.export.comparison import Comparison, compare
from tutelage.export.export import export_student
from tutelage.export.prediction import Prediction, predict
from tutelage.export.record import Record
from tutelage.export.settings import ExportSettings
from tutelage.export.student import Student, load_student

__all__ = [
    "Comparison",
    "ExportSettings",
    "Prediction",
    "Record",
    "Student",
    "compare",
    "export_student",
    "load_student",
    "predict",
]
