"""Choose settings that are ``auto`` by timing a few steps."""

from tutelage.training.tuning.compilation import compile_stage, compiles_student, compiles_teacher
from tutelage.training.tuning.tuning import tune

__all__ = [
    "compile_stage",
    "compiles_student",
    "compiles_teacher",
    "tune",
]
