"""Collect the input of a report: grouped runs, and their data, teacher and predictions where available."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tutelage.data import ImageData
from tutelage.distillation import BaseTeacher
from tutelage.errors import TutelageError
from tutelage.report.material.groups import Group, alone_of, group_runs
from tutelage.report.material.lookup import find_data, find_teacher
from tutelage.report.material.predictions import Predictions, predict
from tutelage.report.material.run import Run, RunSet
from tutelage.runs import Student, load_student

TOLERANCE = 0.1
"""Allowed difference in points from the recorded accuracy, because devices round differently."""


@dataclass(eq=False)
class Material:
    """The input of a report."""

    title: str
    groups: list[Group]
    focus: Group
    """The group shown in detail."""
    alone: Group | None
    """The group of the same student without a teacher."""
    data: ImageData | None = None
    teacher: BaseTeacher | None = None
    """The teacher of the run shown in detail."""
    teacher_predictions: Predictions | None = None
    predictions: dict[Path, Predictions] = field(default_factory=dict)
    """Predictions of the runs in ``focus`` and ``alone``, by run folder."""
    missing: list[str] = field(default_factory=list)
    """Descriptions of missing parts of the report, with the reasons."""

    @property
    def run(self) -> Run:
        """The run whose images and curves are shown."""
        return self.focus.typical

    @property
    def split(self) -> str:
        return self.run.result.split

    @property
    def classes(self) -> tuple[str, ...]:
        assert self.data is not None
        return self.data.classes

    @property
    def teacher_name(self) -> str:
        return self.run.result.teacher or "teacher"

    def of(self, group: Group) -> list[Predictions]:
        """Return the available predictions of a group's runs."""
        return [self.predictions[run.folder] for run in group.runs if run.folder in self.predictions]

    def beside_teacher(self, group: Group) -> list[Predictions]:
        """Return the predictions of the runs that share the teacher shown in detail, or all if none is available."""
        same = [run for run in group.runs if run.config.get("teacher") == self.run.config.get("teacher")]
        return [self.predictions[run.folder] for run in same if run.folder in self.predictions] or self.of(group)

    def images(self, places: Sequence[int]) -> NDArray[np.uint8]:
        """Return images (N, H, W, 3) of the split by their indices in the predictions."""
        assert self.data is not None
        samples = self.data.headline[1].samples
        rows = next(iter(self.predictions.values())).rows[list(places)]
        batches = samples.reader().read([np.ascontiguousarray(rows)], None)
        return np.concatenate([batch.images.permute(0, 2, 3, 1).numpy() for batch in batches])


def gather(run_set: RunSet, data: str | None) -> Material:
    """Group the runs and compute the predictions; anything unavailable is omitted and listed with the reason.

    Raises:
        TutelageError: If the runs are not comparable.
    """
    _check_comparable(run_set.runs)
    groups = group_runs(run_set.runs)
    focus = _focus(groups)
    material = Material(
        f"Study {run_set.title}" if run_set.title else _title(focus), groups, focus, alone_of(focus, groups)
    )
    material.missing += [f"The run {name} failed: {error}" for name, error in run_set.failed.items()]
    try:
        material.data = find_data(material.run, data)
    except TutelageError as error:
        material.missing.append(
            f"Sections that need the images are not shown: {error}. Set data=… to their current location."
        )
        return material
    try:
        material.teacher = find_teacher(material.run, material.data)
    except TutelageError as error:
        material.missing.append(f"The teacher's predictions and attention are not shown: {error}.")
    _predict(material)
    return material


def _check_comparable(runs: Sequence[Run]) -> None:
    for what, values in (
        ("data", {run.result.data for run in runs}),
        ("splits", {run.result.split for run in runs}),
    ):
        if len(values) > 1:
            raise TutelageError(
                f"the runs are measured on different {what} ({', '.join(sorted(values))}); write one report for each"
            )


def _focus(groups: Sequence[Group]) -> Group:
    """Return the distilled group with the highest mean accuracy, or the best group if none is distilled."""
    distilled = [group for group in groups if not group.alone]
    return max(distilled or groups, key=lambda group: group.row.mean)


def _title(focus: Group) -> str:
    result = focus.typical.result
    if focus.alone:
        return f"{focus.row.student} on {result.data}"
    return f"{focus.row.student} distilled from {result.teacher}: {focus.method}"


def _predict(material: Material) -> None:
    assert material.data is not None
    _, split = material.data.headline
    for run in material.focus.runs + (material.alone.runs if material.alone is not None else ()):
        try:
            student = load_student(run.folder)
            _check_classes(student, material.data)
        except TutelageError as error:
            material.missing.append(f"The predictions of {run.folder} are not shown: {error}.")
            continue
        made = predict(student.classifier, split, str(run.folder))
        material.predictions[run.folder] = made
        if abs(made.top1 - run.top1) > TOLERANCE:
            material.missing.append(
                f"{run.folder} now reaches {made.top1:.2f} %, but {run.top1:.2f} % was recorded after training: its "
                f"weights or the images have changed. Results for single classes and images show the current state."
            )
    if material.teacher is not None and material.run.result.teacher_top1 is not None:
        material.teacher_predictions = predict(material.teacher, split, material.teacher_name)


def _check_classes(student: Student, data: ImageData) -> None:
    if student.classes != data.classes:
        raise TutelageError("its classes differ from those of the data")
