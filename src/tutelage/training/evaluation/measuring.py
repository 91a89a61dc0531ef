"""Measure the accuracy of a teacher before distillation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from tutelage.console import phase
from tutelage.data import Split
from tutelage.distillation import BaseTeacher
from tutelage.runs import DamagedFile, RunFolder, read_sealed, replace, write_sealed
from tutelage.training.engine import agree
from tutelage.training.evaluation.accuracy import Evaluation, evaluate_network
from tutelage.training.evaluation.neighbours import NEIGHBOURS, bank_size, neighbour_accuracy
from tutelage.training.job.job import Job

if TYPE_CHECKING:
    from accelerate import Accelerator

ACCURACY = "top-1 accuracy"
IMBALANCED = 60
"""Percentage of images in one class above which accuracy alone is misleading."""
NEIGHBOUR_ACCURACY = f"accuracy of the {NEIGHBOURS} nearest neighbours of its pooled features"


@dataclass(frozen=True)
class Measured:
    """A teacher's accuracy on a split, and how it was measured."""

    kind: str
    split: str
    top1: float | None
    """In percent; None without labels."""
    balanced: float | None = None
    """Mean accuracy over classes; None unless ``kind`` is ``ACCURACY``."""
    majority: float | None = None
    """Percentage of the most frequent class of the split."""
    predictions: Tensor | None = None
    """This process's predictions; None if the teacher has no classifier for the data's classes."""

    def describe(self, teachers: int) -> str:
        """Return the line of the plan for a run with this number of ``teachers``."""
        if self.top1 is None:
            return f"teacher  {self}"
        if self.kind != ACCURACY:
            return f"teacher  {self} on {self.split}"
        together = " (together)" if teachers > 1 else ""
        return f"teacher  {self} top-1 on {self.split}{together}{describe_imbalance(self.balanced, self.majority)}"

    def __str__(self) -> str:
        if self.top1 is None:
            return "no labels to measure it by"
        return f"{self.top1:.2f} %" + (f" ({NEIGHBOURS} nearest neighbors)" if self.kind == NEIGHBOUR_ACCURACY else "")


def describe_imbalance(balanced: float | None, majority: float | None) -> str:
    """Return an addition to a top-1 accuracy if most images are of one class; empty otherwise."""
    if balanced is None or majority is None or majority <= IMBALANCED:
        return ""
    return f", {balanced:.2f} % balanced over the classes; always the most frequent class: {majority:.2f} %"


def measure_teacher(job: Job, engine: Accelerator) -> Measured | None:
    """Measure the teacher on the validation split, or on the test split if there is none; None without a teacher.

    The measure is the accuracy if the teacher has the classes of the data, and otherwise the accuracy of nearest
    neighbors in its feature space.
    """
    teacher, data = job.teacher, job.data
    if teacher is None:
        return None
    name, split = ("validation", data.validation) if data.validation is not None else data.headline
    if job.teacher_knows_classes:
        results = _evaluate(teacher, job, engine, name, split)
        return Measured(ACCURACY, name, results.top1, results.balanced, results.majority, results.predictions)
    # Several teachers would each have their own features.
    embed = teacher.members[0].embedder()
    size = job.settings.batch_size
    with phase(f"measuring the teacher's features on {name}", bank_size(data.train) + len(split)) as advance:
        top1 = neighbour_accuracy(embed, data.train, split, len(data.classes), size, engine, advance)
    return Measured(NEIGHBOUR_ACCURACY, name, top1)


def keep_measured(measured: Measured, job: Job, engine: Accelerator) -> None:
    """Write the teacher's results to the run folder, as ``teacher.json`` and for :func:`kept_measured`.

    All processes must call it, because each of the n processes has predicted every n-th sample.
    """
    from accelerate.utils import gather_object

    parts = gather_object([measured.predictions])
    if not engine.is_main_process:
        return
    assert job.teacher is not None
    folder = RunFolder(job.path)
    recorded = {"split": measured.split, "top1": measured.top1, "measure": measured.kind}
    folder.write_json("teacher.json", {**job.teacher.identity(), **recorded})
    whole = None
    if measured.predictions is not None:
        whole = torch.empty(sum(map(len, parts)), dtype=torch.int64)
        for rank, part in enumerate(parts):
            whole[rank :: len(parts)] = part
    state = {"weights": _weights(job), **vars(measured), "predictions": whole}
    replace(folder.measured, lambda path: write_sealed(path, state))


def kept_measured(job: Job, engine: Accelerator) -> Measured | None:
    """Return the results that :func:`keep_measured` wrote, or None if they are missing, damaged or of other weights."""
    state = agree(_read(job) if engine.is_main_process else None)
    if state is None:
        return None
    whole = state.pop("predictions")
    own = whole[engine.process_index :: engine.num_processes] if whole is not None else None
    return Measured(**state, predictions=own)


def _read(job: Job) -> dict[str, Any] | None:
    path = RunFolder(job.path).measured
    if not path.exists():
        return None
    try:
        state = read_sealed(path)
    except DamagedFile:
        return None
    return state if state.pop("weights") == _weights(job) else None


def _weights(job: Job) -> list[object]:
    """Return the hash of each teacher's weights."""
    assert job.teacher is not None
    return [member.identity()["weights_sha256"] for member in job.teacher.members]


def evaluate_teacher(job: Job, engine: Accelerator, name: str, split: Split) -> Evaluation | None:
    """Evaluate the teacher on a split; return None if there is no teacher with the classes of the data."""
    if job.teacher is None or not job.teacher_knows_classes:
        return None
    return _evaluate(job.teacher, job, engine, name, split)


def _evaluate(teacher: BaseTeacher, job: Job, engine: Accelerator, name: str, split: Split) -> Evaluation:
    with phase(f"measuring the teacher on {name}", len(split)) as advance:
        return evaluate_network(teacher.classifier(), split, job.settings.batch_size, engine, advance=advance)
