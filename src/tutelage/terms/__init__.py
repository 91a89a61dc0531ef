"""What a method is made of: terms, and the stages in which they are trained."""

from tutelage.terms.kept import Kept
from tutelage.terms.optimization import (
    Optimizer,
    OptimizerSettings,
    PretrainOptimizer,
    Schedule,
    ScheduleSettings,
)
from tutelage.terms.stage import Stage
from tutelage.terms.term import IMAGE_GRADIENT, LOGITS, MIRRORED_GRADIENT, RESERVED, Term

__all__ = [
    "IMAGE_GRADIENT",
    "Kept",
    "LOGITS",
    "MIRRORED_GRADIENT",
    "Optimizer",
    "OptimizerSettings",
    "PretrainOptimizer",
    "RESERVED",
    "Schedule",
    "ScheduleSettings",
    "Stage",
    "Term",
]
