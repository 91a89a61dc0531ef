"""Building blocks of methods: terms, what they read, and the stages in which they are trained."""

from tutelage.taps import EMBEDDING
from tutelage.terms.gathering import alone
from tutelage.terms.image_gradient import IMAGE_GRADIENT, MIRRORED_GRADIENT
from tutelage.terms.kept import Kept
from tutelage.terms.optimization import (
    Optimizer,
    OptimizerSettings,
    PretrainOptimizer,
    Schedule,
    ScheduleSettings,
)
from tutelage.terms.reserved import BATCH, EPOCH, INDEX, LABELS, LOGITS, ComputedTap, Network, is_reserved
from tutelage.terms.stage import Stage
from tutelage.terms.term import Target, Term
from tutelage.terms.weighting import CosineDecay, Steps, WarmUp, Weighting, epoch_at

__all__ = [
    "BATCH",
    "ComputedTap",
    "CosineDecay",
    "EMBEDDING",
    "EPOCH",
    "IMAGE_GRADIENT",
    "INDEX",
    "Kept",
    "LABELS",
    "LOGITS",
    "MIRRORED_GRADIENT",
    "Network",
    "Optimizer",
    "OptimizerSettings",
    "PretrainOptimizer",
    "Schedule",
    "ScheduleSettings",
    "Stage",
    "Steps",
    "Target",
    "Term",
    "WarmUp",
    "Weighting",
    "alone",
    "epoch_at",
    "is_reserved",
]
