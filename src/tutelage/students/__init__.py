"""Predict with trained models and compare them: runs, model folders and exported files."""

from tutelage.students.comparison import Comparison, ComparisonRow, compare
from tutelage.students.prediction import Prediction, predict

__all__ = [
    "Comparison",
    "ComparisonRow",
    "Prediction",
    "compare",
    "predict",
]
