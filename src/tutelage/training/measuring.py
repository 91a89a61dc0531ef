"""What a teacher is worth on the data, measured before it teaches."""

from __future__ import annotations

from dataclasses import dataclass

from accelerate import Accelerator
from torch import Tensor

from tutelage.data import Split
from tutelage.training.evaluation import Evaluation, evaluate_network
from tutelage.training.job import Job
from tutelage.training.neighbours import NEIGHBOURS, neighbour_accuracy

ACCURACY = "top-1 accuracy"
NEIGHBOUR_ACCURACY = f"accuracy of the {NEIGHBOURS} nearest neighbours of its pooled features"


@dataclass(frozen=True)
class Measured:
    """The teacher's figure on a split, and what it is."""

    kind: str
    split: str
    top1: float | None
    """In percent; None where the data have no labels."""
    predictions: Tensor | None = None
    """This process's predictions of the data's classes; None where it has no classifier for them."""

    def __str__(self) -> str:
        if self.top1 is None:
            return "no labels to measure it by"
        return f"{self.top1:.2f} %" + (f" ({NEIGHBOURS} nearest neighbours)" if self.kind == NEIGHBOUR_ACCURACY else "")


def measure_teacher(job: Job, engine: Accelerator) -> Measured | None:
    """Measures the teacher on the validation data, on the test data where there are none; None without a teacher.

    One whose logits are about the data's classes by its accuracy, any other by its features' nearest neighbours.
    """
    teacher, data = job.teacher, job.data
    if teacher is None:
        return None
    name, split = ("validation", data.validation) if data.validation is not None else data.headline
    if job.teacher_knows_classes:
        figures = evaluate_network(teacher, split, job.settings.batch_size, engine)
        return Measured(ACCURACY, name, figures.top1, figures.predictions)
    # Where there are several, each would have features of its own.
    embed = teacher.members[0].embedder()
    size = job.settings.batch_size
    top1 = neighbour_accuracy(embed, data.train, split, len(data.classes), size, engine)
    return Measured(NEIGHBOUR_ACCURACY, name, top1)


def evaluate_teacher(job: Job, engine: Accelerator, split: Split) -> Evaluation | None:
    """Evaluates the teacher on a split; None where there is none with the classes of the data."""
    if job.teacher is None or not job.teacher_knows_classes:
        return None
    return evaluate_network(job.teacher, split, job.settings.batch_size, engine)
