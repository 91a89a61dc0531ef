"""A teacher with little to teach is told before the training, not after it."""

from __future__ import annotations

import warnings
from pathlib import Path

from tutelage.errors import TutelageError
from tutelage.runs import Result
from tutelage.training.evaluation.measuring import ACCURACY, Measured
from tutelage.training.job.job import Job

GUESSING = 1.5
"""A teacher below so many times the accuracy of guessing knows nothing of the classes."""


def warn_of_a_weak_teacher(job: Job, measured: Measured | None) -> None:
    """Warns where the teacher is hardly better than guessing, or worse than a student alone (``method=none``).

    The student alone is looked for among the finished runs beside this one, with the same data and the same network.
    """
    if measured is None or measured.kind != ACCURACY or measured.top1 is None:
        return
    guessing = 100 / len(job.data.classes)
    # The most frequent class may have nearly all images: a teacher that always answers it knows nothing of the others.
    reached = measured.balanced if measured.balanced is not None else measured.top1
    if reached < GUESSING * guessing:
        always = measured.majority if measured.majority is not None else guessing
        warnings.warn(
            f"the teacher reaches {measured.top1:.2f} % on {measured.split} ({reached:.2f} % balanced over the "
            f"classes), and always the most frequent class {always:.2f} %: are its "
            f"classes in the order of the data's, and its mean, std and input size right (tutelage list settings)?",
            stacklevel=2,
        )
    alone = {place: top1 for place, top1 in _alone(job, measured.split).items() if top1 > measured.top1}
    if alone:
        place = max(alone, key=lambda place: alone[place])
        warnings.warn(
            f"the teacher reaches {measured.top1:.2f} % on {measured.split}, and the student alone "
            f"{alone[place]:.2f} % ({place}): it has little to teach; train it longer, or take another",
            stacklevel=2,
        )


def _alone(job: Job, split: str) -> dict[Path, float]:
    """Accuracies on ``split`` of the students trained alone in the folders beside the run's."""
    found = {}
    for path in job.path.parent.glob("*/result.json"):
        try:
            result = Result.read(path.parent)
        except TutelageError:
            continue  # some other program's
        top1 = result.validation_top1 if split == "validation" else result.top1
        same = (result.method, result.student, result.data) == ("none", job.spec.name, job.data.name)
        if same and top1 is not None:
            found[path.parent] = top1
    return found
