"""Statistics over seeds: means, standard deviations, and differences with significance tests."""

from __future__ import annotations

import statistics
import warnings
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict
from scipy import stats

from tutelage.training import Result

LEVEL = 0.05
"""Significance level: a difference counts as shown if its p-value is smaller."""


class Difference(NamedTuple):
    """The difference of two means, in percentage points."""

    points: float
    low: float
    high: float
    """``low`` to ``high`` is the 95 % confidence interval of this difference alone."""
    p: float
    """p-value of Welch's two-sided t-test, adjusted if it is one of several comparisons with the same row."""

    @property
    def shown(self) -> bool:
        return self.p < LEVEL


class Row(BaseModel):
    """The runs of one student with one method; accuracies are in percent, after the last epoch."""

    model_config = ConfigDict(frozen=True)

    student: str
    method: str
    setting: str = ""
    """The other settings that vary in the study."""
    teacher: str = ""
    """The teacher, if several are compared."""
    data: str = ""
    split: str
    top1: tuple[float, ...]
    """Accuracy for each seed."""
    parameters: int
    seconds: float
    """Mean training time of a run."""
    images_per_second: float = 0.0
    teacher_top1: float | None = None
    """Mean accuracy of the teacher on the same split; None without a teacher."""
    macs: int | None = None
    """Multiply-adds for one image."""
    latency: float | None = None
    """Latency for one image in milliseconds, on the machine of the study."""

    @property
    def mean(self) -> float:
        return statistics.fmean(self.top1)

    @property
    def deviation(self) -> float | None:
        """Standard deviation over the seeds, with n − 1; None for one seed."""
        return statistics.stdev(self.top1) if len(self.top1) > 1 else None

    @property
    def figure(self) -> str:
        """``mean ± deviation``, in percent."""
        return f"{self.mean:.2f}" + (f" ± {self.deviation:.2f}" if self.deviation is not None else "")

    def gap_closed(self, alone: Row) -> float | None:
        """Return the percentage of the gap between the student ``alone`` and its teacher that this row closes.

        None if there is no teacher, or it is not better than the student alone.
        """
        if self.teacher_top1 is None or self.teacher_top1 <= alone.mean:
            return None
        return 100 * (self.mean - alone.mean) / (self.teacher_top1 - alone.mean)

    def difference(self, other: Row) -> Difference | None:
        """Return the difference of this row's mean from the other's, with Welch's t-test.

        None if it cannot be tested: one of the rows has fewer than two seeds, or the accuracies of both rows do not
        vary over the seeds.
        """
        if min(len(self.top1), len(other.top1)) < 2 or not (self.deviation or other.deviation):
            return None
        points = self.mean - other.mean
        with warnings.catch_warnings():
            # scipy warns if the accuracies of one row are all equal, which is common with few test images.
            warnings.simplefilter("ignore", RuntimeWarning)
            test = stats.ttest_ind(self.top1, other.top1, equal_var=False)
        interval = test.confidence_interval(0.95)
        return Difference(points, float(interval.low), float(interval.high), float(test.pvalue))

    def alone_among(self, rows: Iterable[Row]) -> Row | None:
        """Return the row of the same student, data and setting with ``method="none"``, or None if there is none."""
        key = (self.student, self.setting, self.data, self.split)
        found = (row for row in rows if (row.student, row.setting, row.data, row.split) == key)
        return next((row for row in found if row.method == "none"), None)


class AgainstAlone(NamedTuple):
    """The comparison of a row with the same student without a teacher."""

    alone: Row
    difference: Difference | None
    """The difference, with p adjusted for all rows with the same ``alone``; None if it cannot be tested."""


def against_alone(rows: Sequence[Row]) -> list[AgainstAlone | None]:
    """Compare each row with the same student without a teacher.

    Returns:
        A comparison for each row; None for students without a teacher, and for rows without such a student.
    """
    alone = [row.alone_among(rows) for row in rows]
    found: list[AgainstAlone | None] = [None] * len(rows)
    for control in (row for row in rows if any(row is other for other in alone)):
        places = [n for n, row in enumerate(rows) if alone[n] is control and row is not control]
        for n, difference in zip(places, compare_with(control, [rows[n] for n in places])):
            found[n] = AgainstAlone(control, difference)
    return found


def compare_with(control: Row, rows: Sequence[Row]) -> list[Difference | None]:
    """Return each row's difference from ``control``, with p-values adjusted for the number of comparisons.

    The p-values of Welch's t-test are adjusted by Holm's method, which keeps the probability of any false positive
    among all comparisons at 5 %. Dunnett's test is the textbook choice for comparing several groups with one control,
    but it assumes equal variances. Methods can differ in their variance over seeds, and three to five seeds are too few
    to check this. Welch's test allows unequal variances, and Holm's method works with p-values of any test, without
    assumptions about the dependence of the comparisons. Confidence intervals are not adjusted.

    Args:
        control: The row to compare with.
        rows: The rows to compare.

    Returns:
        A difference for each row; None if it cannot be tested (see :meth:`Row.difference`).
    """
    differences = [row.difference(control) for row in rows]
    adjusted = iter(holm([found.p for found in differences if found is not None]))
    return [None if found is None else found._replace(p=next(adjusted)) for found in differences]


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust p-values for multiple comparisons (Holm, 1979).

    The smallest of n p-values is multiplied by n, the next by n − 1, and so on. An adjusted value is never smaller than
    the one before it, and at most 1.

    Example:
        >>> holm([0.5, 0.25, 0.125])
        [0.5, 0.5, 0.375]
    """
    adjusted, least = [0.0] * len(p_values), 0.0
    for place, n in enumerate(sorted(range(len(p_values)), key=lambda n: p_values[n])):
        least = max(least, min(1.0, (len(p_values) - place) * p_values[n]))
        adjusted[n] = least
    return adjusted


def summarize(results: Iterable[Result], setting: str = "", teacher: str = "") -> list[Row]:
    """Group results into rows by student, method with its settings, data and split, in order of first appearance.

    Results on data without labels have no accuracy and are omitted.

    Args:
        results: Results of finished runs.
        setting: The value of ``setting`` for all rows.
        teacher: The value of ``teacher`` for all rows.
    """
    groups: dict[tuple[str, str, str, str], list[Result]] = {}
    for result in (result for result in results if result.top1 is not None):
        groups.setdefault((result.student, method_label(result), result.data, result.split), []).append(result)
    return [
        Row(
            student=student,
            method=method,
            setting=setting,
            teacher=teacher,
            data=data,
            split=split,
            top1=tuple(result.top1 for result in group if result.top1 is not None),
            parameters=group[0].parameters,
            seconds=statistics.fmean(result.seconds for result in group),
            images_per_second=statistics.fmean(result.images_per_second for result in group),
            teacher_top1=_mean([result.teacher_top1 for result in group if result.teacher_top1 is not None]),
        )
        for (student, method, data, split), group in groups.items()
    ]


def best_among(rows: Iterable[Row]) -> list[Row]:
    """Return the row with the highest mean, and the rows that do not differ significantly from it."""
    ranked = sorted(rows, key=lambda row: -row.mean)
    if not ranked:
        return []
    differences = compare_with(ranked[0], ranked[1:])
    return [ranked[0], *(row for row, found in zip(ranked[1:], differences) if found is None or not found.shown)]


def method_label(result: Result) -> str:
    """Return the method with its settings that differ from the defaults, such as ``feature_maps (count 4)``."""
    changed = [f"{key} {value}" for settings in result.settings.values() for key, value in settings.items()]
    return result.method + (f" ({', '.join(changed)})" if changed else "")


def _mean(values: list[float]) -> float | None:
    return statistics.fmean(values) if values else None
