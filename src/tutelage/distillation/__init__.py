"""Teacher and student side by side: the frozen teacher, and the module that is trained."""

from tutelage.distillation.cache_settings import CacheSettings
from tutelage.distillation.distiller import TASK, Distiller, DistillerOutput
from tutelage.distillation.ensemble import Ensemble
from tutelage.distillation.stages import foreign_classes, make_stages, native_size
from tutelage.distillation.target_cache import StoredTargets, TargetCache
from tutelage.distillation.task import task_loss
from tutelage.distillation.teacher import Teacher

__all__ = [
    "TASK",
    "CacheSettings",
    "Distiller",
    "DistillerOutput",
    "Ensemble",
    "StoredTargets",
    "TargetCache",
    "Teacher",
    "foreign_classes",
    "make_stages",
    "native_size",
    "task_loss",
]
