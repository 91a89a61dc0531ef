"""Fine-tune a teacher on the classes of the data before distillation (``teacher.finetune``)."""

from __future__ import annotations

from pathlib import Path

from tutelage.config import DistillSettings, RunSettings, TeacherSettings, TrainSettings
from tutelage.errors import TutelageError
from tutelage.terms import Optimizer, Schedule
from tutelage.training.job.networks import teacher_model

FOLDER = "teacher"
"""Subfolder of a run for its fine-tuned teacher."""
RATES = {("head", "adamw"): 1e-3, ("full", "adamw"): 1e-4, ("head", "sgd"): 0.1, ("full", "sgd"): 0.01}
"""Default peak learning rates."""
SHARED = ("data", "seed", "batch_size", "accumulate", "precision", "compile", "device", "loggers", "log_every")
"""Settings that fine-tuning inherits from its run."""


def to_finetune(settings: RunSettings) -> TeacherSettings | None:
    """Return the teacher settings of the run if the teacher is fine-tuned first, or else None."""
    teacher = settings.teacher if isinstance(settings, DistillSettings) else None
    return teacher if teacher is not None and teacher.finetune is not None else None


def finetuning(settings: RunSettings, folder: Path) -> TrainSettings:
    """Return the settings for fine-tuning the teacher in ``folder``.

    Data, seed, batch size, precision and device are those of the distillation. The teacher keeps its input size and
    normalization. The learning rate warms up over a tenth of the epochs, then follows a cosine.
    """
    teacher = to_finetune(settings)
    assert teacher is not None and teacher.finetune is not None
    lr = teacher.lr if teacher.lr is not None else RATES[teacher.finetune, teacher.optimizer]
    model = teacher_model(teacher.names[0], teacher)
    return TrainSettings(
        **{name: getattr(settings, name) for name in SHARED},
        model=model.model_copy(update={"input_size": model.input_size or "own"}),
        trainable="head" if teacher.finetune == "head" else "all",
        epochs=teacher.epochs,
        optimizer=Optimizer(
            name=teacher.optimizer,
            lr=lr,
            weight_decay=teacher.weight_decay,
            decay_norms=settings.optimizer.decay_norms,
        ),
        schedule=Schedule(warmup=teacher.epochs / 10),
        clip=None,
        bn_momentum=None,
        out=folder,
    )


def describe(teacher: TeacherSettings, folder: Path) -> str:
    """Return a description of the fine-tuning: teacher, layers, epochs and folder."""
    what = "only its new classifier" if teacher.finetune == "head" else "all layers"
    return f"{teacher.names[0]} fine-tuned on these data: {what}, {teacher.epochs} epochs, in {folder}"


def finetuned(folder: Path) -> TeacherSettings:
    """Return the settings of the fine-tuned teacher in ``folder``."""
    return TeacherSettings(name=str(folder))


def require_same(there: RunSettings, wanted: TrainSettings, folder: Path) -> None:
    """Check that the run in ``folder`` trains the same teacher as ``wanted``.

    Raises:
        TutelageError: If its settings differ.
    """
    settled = {"out", "overwrite", "precision", "compile"}
    one, other = there.model_dump(mode="json", exclude=settled), wanted.model_dump(mode="json", exclude=settled)
    different = [key for key in other if one.get(key) != other[key]]
    if different:
        raise TutelageError(
            f"{folder} holds a teacher trained with other settings ({', '.join(different)}); set another out, or "
            f"remove the folder"
        )
