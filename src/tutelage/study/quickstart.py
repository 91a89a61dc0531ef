"""The quickstart: distill with few labels and many unlabeled digits, and a teacher trained on all labels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from tutelage.config import TrainSettings, load
from tutelage.data import DataSettings, open_data
from tutelage.errors import TutelageError
from tutelage.paths import check_out
from tutelage.study.grid import Cell
from tutelage.study.prepare import check_runs
from tutelage.study.runs import train_cells
from tutelage.study.statistics import Difference, Row, against_alone
from tutelage.study.study import Study, study
from tutelage.study.workers import start_workers
from tutelage.training.display import build_console

ALL_LABELS: dict[str, Any] = {"name": "digits", "size": 8}
FEW_LABELS: dict[str, Any] = {**ALL_LABELS, "fraction": 0.5, "labelled": 0.1}
"""Few images, so that the student alone, which learns from 64 of them, sees each often enough."""

TEACHER, STUDENT = "resnet20", "resnet8"
METHODS = ("none", "kd", "kd+at")
"""Methods with one stage, so that they share schedule and warm-up."""

COMMON: dict[str, Any] = {
    # A GPU, bf16 or compilation would not speed up networks this small.
    "device": "cpu",
    "precision": "fp32",
    "compile": "off",
    "loggers": [],
}
"""Settings of the teacher and all students that differ from the defaults."""

MOST_WORKERS = 4


def quickstart(out: Path, seeds: int = 5, epochs: int = 40) -> Study:
    """Train a teacher, then the same student with and without it, and print the table of the study.

    The run ``teacher`` and the study ``few-labels`` are written to ``out``. A second call resumes unfinished runs.

    Args:
        out: Folder of all runs.
        seeds: Number of runs per method.
        epochs: Epochs of each student; the teacher trains half as long.

    Raises:
        TutelageError: If ``out`` contains something else, or runs with other settings.
    """
    check_out(out, True, "a quickstart", (out / "teacher").exists())
    build_console().print(describe_setup(), highlight=False)
    # One thread per worker, because networks this small do not benefit from more.
    workers = min(MOST_WORKERS, torch.get_num_threads())
    _train_teacher(out / "teacher", max(1, epochs // 2), workers)
    return study(
        COMMON,
        {
            "out": str(out / "few-labels"),
            "data": FEW_LABELS,
            "teacher": str(out / "teacher"),
            "student": STUDENT,
            "grid": {"method": list(METHODS)},
            "epochs": epochs,
            "seeds": seeds,
            "workers": workers,
        },
    )


def _train_teacher(folder: Path, epochs: int, workers: int) -> None:
    own = {"out": str(folder), "data": ALL_LABELS, "model": TEACHER, "epochs": epochs}
    cell = Cell("teacher", {}, load(TrainSettings, COMMON, own))
    check_runs([cell])
    with start_workers(workers) as pool:
        failed = train_cells([cell], pool)
    if failed:
        raise TutelageError(f"the teacher could not be trained: {failed['teacher']}")


def describe_setup() -> str:
    """Return a description of the training data of the teacher and the students."""
    labels = open_data(DataSettings(**FEW_LABELS)).train.labels
    labelled = int((labels >= 0).sum())
    teacher = len(open_data(DataSettings(**ALL_LABELS)).train)
    return (
        f"The teacher, a {TEACHER}, trains on {teacher:,} labelled digits. The students, each a {STUDENT}, see "
        f"{len(labels)} digits, of which {labelled} are labelled: the student alone can learn only from these, a "
        f"distilled student also from the teacher's outputs for the other {len(labels) - labelled}."
    )


def conclusion(rows: Sequence[Row]) -> str:
    """Return the accuracy of the best distilled student and of the student alone, and whether the seeds differ.

    Args:
        rows: Rows of a study, one of them with ``method="none"``.

    Returns:
        Two sentences.
    """
    compared = [(row, against) for row, against in zip(rows, against_alone(rows)) if against is not None]
    best, (alone, difference) = max(compared, key=lambda pair: pair[0].mean)
    reached = (
        f"With few labels and many unlabelled images, the student classifies {best.mean:.1f} % of the {best.split} "
        f"images correctly under its teacher ({best.method}) and {alone.mean:.1f} % alone."
    )
    return f"{reached} {_verdict(difference, min(len(best.top1), len(alone.top1)))}"


def _verdict(found: Difference | None, seeds: int) -> str:
    if found is None and seeds > 1:
        return "The accuracy is the same for all seeds, so the difference cannot be tested; use a larger test split."
    if found is None:
        return "One seed cannot tell this difference from chance; set seeds=5."
    points = f"{abs(found.points):.1f} points"
    test = f"{seeds} seeds, Welch's t-test, p = {found.p:.2g}"
    interval = f"95 % confidence interval {found.low:+.1f} to {found.high:+.1f}, {test}"
    if not found.shown:
        return f"These runs do not show that distillation helps: the difference is {points} ({interval})."
    return f"Distillation {'gains' if found.points > 0 else 'loses'} {points} ({interval})."
