"""Warn before training if the teacher is weak."""

from __future__ import annotations

import warnings
from pathlib import Path

from tutelage.errors import TutelageError
from tutelage.runs import Result
from tutelage.training.evaluation.measuring import ACCURACY, Measured
from tutelage.training.job.job import Job

GUESSING = 1.5
"""A teacher below this multiple of chance accuracy counts as untrained for these classes."""


def warn_of_a_weak_teacher(job: Job, measured: Measured | None) -> None:
    """Warn if the teacher is hardly better than chance, or worse than the student alone (``method=none``).

    The student alone is looked up among finished runs in the same parent folder, with the same data and network.
    """
    if measured is None or measured.kind != ACCURACY or measured.top1 is None:
        return
    guessing = 100 / len(job.data.classes)
    # With imbalanced data, a teacher that always predicts the most frequent class can have a high top-1 accuracy.
    reached = measured.balanced if measured.balanced is not None else measured.top1
    if reached < GUESSING * guessing:
        always = measured.majority if measured.majority is not None else guessing
        warnings.warn(
            f"the teacher reaches {measured.top1:.2f} % on {measured.split} ({reached:.2f} % balanced over the "
            f"classes), and always predicting the most frequent class reaches {always:.2f} %; check the order of its "
            f"classes and its mean, std and input size (tutelage list settings)",
            stacklevel=2,
        )
    alone = {place: top1 for place, top1 in _alone(job, measured.split).items() if top1 > measured.top1}
    if alone:
        place = max(alone, key=lambda place: alone[place])
        warnings.warn(
            f"the teacher reaches {measured.top1:.2f} % on {measured.split}, less than the student alone with "
            f"{alone[place]:.2f} % ({place}); train it longer, or use another teacher",
            stacklevel=2,
        )


def _alone(job: Job, split: str) -> dict[Path, float]:
    """Return the accuracies on ``split`` of students that were trained alone, in folders next to the run folder."""
    found = {}
    for path in job.path.parent.glob("*/result.json"):
        try:
            result = Result.read(path.parent)
        except TutelageError:
            continue  # not a result of tutelage
        top1 = result.validation_top1 if split == "validation" else result.top1
        same = (result.method, result.student, result.data) == ("none", job.spec.name, job.data.name)
        if same and top1 is not None:
            found[path.parent] = top1
    return found
