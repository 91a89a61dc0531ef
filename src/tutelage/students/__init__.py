"""Finished students, and whatever else classifies images: opened, asked, compared."""

from tutelage.students.comparison import Comparison, compare
from tutelage.students.prediction import Prediction, predict

__all__ = [
    "Comparison",
    "Prediction",
    "compare",
    "predict",
]
