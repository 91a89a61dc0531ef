"""What a run leaves to ``auto``: decided by a few timed steps."""

from tutelage.training.tuning.compilation import compile_stage, compiles_student, compiles_teacher
from tutelage.training.tuning.tuning import tune

__all__ = [
    "compile_stage",
    "compiles_student",
    "compiles_teacher",
    "tune",
]
