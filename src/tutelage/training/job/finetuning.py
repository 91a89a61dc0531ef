"""``teacher.finetune``: the run in which a teacher learns the data's classes, and what comes of it."""

from __future__ import annotations

from pathlib import Path

from tutelage.config import DistillSettings, RunSettings, TeacherSettings, TrainSettings
from tutelage.errors import TutelageError
from tutelage.terms import Optimizer, Schedule
from tutelage.training.job.networks import teacher_model

FOLDER = "teacher"
"""Where in a run's folder its fine-tuned teacher has its own."""
RATES = {("head", "adamw"): 1e-3, ("full", "adamw"): 1e-4, ("head", "sgd"): 0.1, ("full", "sgd"): 0.01}
"""Peak learning rates where none is given."""
SHARED = ("data", "seed", "batch_size", "accumulate", "precision", "compile", "device", "loggers", "log_every")
"""What a fine-tuning takes over of the run it is part of."""


def to_finetune(settings: RunSettings) -> TeacherSettings | None:
    """Returns the run's teacher where it is to be fine-tuned first."""
    teacher = settings.teacher if isinstance(settings, DistillSettings) else None
    return teacher if teacher is not None and teacher.finetune is not None else None


def finetuning(settings: RunSettings, folder: Path) -> TrainSettings:
    """Returns the settings of the run in ``folder`` that fine-tunes the teacher.

    Data, seed, batch, precision and device are those of the distillation. The teacher keeps its own input size and
    normalisation. The rate warms up over a tenth of the epochs, and falls along a cosine.
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
    """Says what is fine-tuned, how and where."""
    what = "its new classifier alone" if teacher.finetune == "head" else "all of it"
    return f"{teacher.names[0]} fine-tuned on these data: {what}, {teacher.epochs} epochs, in {folder}"


def finetuned(folder: Path) -> TeacherSettings:
    """Returns the settings of the teacher whose fine-tuning in ``folder`` is done."""
    return TeacherSettings(name=str(folder))


def require_same(there: RunSettings, wanted: TrainSettings, folder: Path) -> None:
    """Raises :class:`TutelageError` where the run in ``folder`` trains another teacher than the one that is wanted."""
    settled = {"out", "overwrite", "precision", "compile"}
    one, other = there.model_dump(mode="json", exclude=settled), wanted.model_dump(mode="json", exclude=settled)
    different = [key for key in other if one.get(key) != other[key]]
    if different:
        raise TutelageError(
            f"{folder} holds a teacher that was trained otherwise ({', '.join(different)} differ): choose another "
            f"folder, or remove that one"
        )
