"""Frozen teachers, and the module that trains a student with them."""

import warnings
from typing import Any

from tutelage.distillation.base import BaseTeacher
from tutelage.distillation.cache.settings import CacheSettings
from tutelage.distillation.cache.targets import StoredTargets, TargetCache
from tutelage.distillation.checks import foreign_classes
from tutelage.distillation.distiller import TASK, Distiller, DistillerOutput
from tutelage.distillation.stages import deploy, make_stages, native_size
from tutelage.distillation.task import task_loss
from tutelage.distillation.teacher import Teacher, compile_frozen
from tutelage.distillation.teachers import Teachers

__all__ = [
    "BaseTeacher",
    "CacheSettings",
    "Distiller",
    "DistillerOutput",
    "StoredTargets",
    "TASK",
    "TargetCache",
    "Teacher",
    "Teachers",
    "compile_frozen",
    "deploy",
    "foreign_classes",
    "make_stages",
    "native_size",
    "task_loss",
]


def __getattr__(name: str) -> Any:
    """Return ``Teachers`` under its old name ``Ensemble``, with a deprecation warning; to be removed in 1.0."""
    if name != "Ensemble":
        raise AttributeError(f"module 'tutelage.distillation' has no attribute '{name}'")
    warnings.warn("tutelage.distillation.Ensemble is now Teachers", DeprecationWarning, stacklevel=2)
    return Teachers
