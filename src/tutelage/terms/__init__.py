"""Building blocks of methods: terms, what they read, and the stages in which they are trained."""

from tutelage.terms.image_gradient import IMAGE_GRADIENT, MIRRORED_GRADIENT
from tutelage.terms.kept import Kept
from tutelage.terms.optimization import (
    Optimizer,
    OptimizerSettings,
    PretrainOptimizer,
    Schedule,
    ScheduleSettings,
)
from tutelage.terms.reserved import LOGITS, ComputedTap, Network, is_reserved
from tutelage.terms.stage import Stage
from tutelage.terms.term import Term

__all__ = [
    "ComputedTap",
    "IMAGE_GRADIENT",
    "Kept",
    "LOGITS",
    "MIRRORED_GRADIENT",
    "Network",
    "Optimizer",
    "OptimizerSettings",
    "PretrainOptimizer",
    "Schedule",
    "ScheduleSettings",
    "Stage",
    "Term",
    "is_reserved",
]
