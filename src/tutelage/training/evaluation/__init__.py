"""Accuracy of students and teachers on a split."""

from tutelage.training.evaluation.measuring import ACCURACY, IMBALANCED, Measured, describe_imbalance

__all__ = [
    "ACCURACY",
    "IMBALANCED",
    "Measured",
    "describe_imbalance",
]
