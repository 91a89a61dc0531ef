"""Teacher and student side by side: the frozen teacher, and the module that is trained."""

from tutelage.distillation.cache.settings import CacheSettings
from tutelage.distillation.cache.targets import StoredTargets, TargetCache
from tutelage.distillation.distiller import TASK, Distiller, DistillerOutput
from tutelage.distillation.ensemble import Ensemble
from tutelage.distillation.stages import foreign_classes, make_stages, native_size
from tutelage.distillation.task import task_loss
from tutelage.distillation.teacher import Teacher, compile_frozen

__all__ = [
    "CacheSettings",
    "Distiller",
    "DistillerOutput",
    "Ensemble",
    "StoredTargets",
    "TASK",
    "TargetCache",
    "Teacher",
    "compile_frozen",
    "foreign_classes",
    "make_stages",
    "native_size",
    "task_loss",
]
