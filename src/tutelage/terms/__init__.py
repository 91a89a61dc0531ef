"""What a method is made of: terms, and the stages in which they are trained."""

from tutelage.terms.optimization import OptimizerSettings, ScheduleSettings
from tutelage.terms.stage import Stage
from tutelage.terms.term import LOGITS, Term

__all__ = ["LOGITS", "OptimizerSettings", "ScheduleSettings", "Stage", "Term"]
