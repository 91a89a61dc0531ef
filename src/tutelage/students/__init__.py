"""Finished students, and whatever else classifies images: opened, asked, compared."""

from tutelage.students.comparison import Comparison, ComparisonRow, compare
from tutelage.students.prediction import Prediction, predict

__all__ = [
    "Comparison",
    "ComparisonRow",
    "Prediction",
    "compare",
    "predict",
]
