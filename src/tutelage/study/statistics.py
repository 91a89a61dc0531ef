"""What several seeds say: mean ± deviation, the difference to another row, and whether the seeds show it."""

from __future__ import annotations

import statistics
import warnings
from collections.abc import Iterable
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict
from scipy import stats

from tutelage.training import Result

LEVEL = 0.05
"""A difference counts as shown where Welch's test gives a smaller p."""


class Difference(NamedTuple):
    """Of two means, in percentage points."""

    points: float
    low: float
    high: float
    """``low`` to ``high`` is the interval of 95 % confidence."""
    p: float
    """Of Welch's t-test, two-sided: how often equal methods would differ so much."""

    @property
    def shown(self) -> bool:
        return self.p < LEVEL


class Row(BaseModel):
    """The runs of one student with one method; accuracies in percent, at the last epoch."""

    model_config = ConfigDict(frozen=True)

    student: str
    method: str
    setting: str = ""
    """What else tells the row from others of the study."""
    teacher: str = ""
    """Which teacher, where they vary."""
    data: str = ""
    split: str
    top1: tuple[float, ...]
    """One for each seed."""
    parameters: int
    seconds: float
    """Mean training time of a run."""
    images_per_second: float = 0.0
    teacher_top1: float | None = None
    """Mean of the teacher's accuracy on the same split; None where there was none."""
    macs: int | None = None
    """Multiply-adds for one image."""
    latency: float | None = None
    """Milliseconds for one image, on the machine of the study."""

    @property
    def mean(self) -> float:
        return statistics.fmean(self.top1)

    @property
    def deviation(self) -> float | None:
        """Standard deviation over the seeds (n − 1); None for one seed."""
        return statistics.stdev(self.top1) if len(self.top1) > 1 else None

    @property
    def figure(self) -> str:
        """``mean ± deviation``, in percent."""
        return f"{self.mean:.2f}" + (f" ± {self.deviation:.2f}" if self.deviation is not None else "")

    def gap_closed(self, alone: Row) -> float | None:
        """Share of the way from the student ``alone`` to its teacher, in percent; None where there is no such way."""
        if self.teacher_top1 is None or self.teacher_top1 <= alone.mean:
            return None
        return 100 * (self.mean - alone.mean) / (self.teacher_top1 - alone.mean)

    def difference(self, other: Row) -> Difference | None:
        """Return this row's mean minus the other's, with Welch's test.

        None if the seeds cannot be tested: either row has fewer than two, or neither row varies over its seeds.
        """
        if min(len(self.top1), len(other.top1)) < 2 or not (self.deviation or other.deviation):
            return None
        points = self.mean - other.mean
        with warnings.catch_warnings():
            # scipy warns where one side's figures are equal, as those of few test images often are.
            warnings.simplefilter("ignore", RuntimeWarning)
            test = stats.ttest_ind(self.top1, other.top1, equal_var=False)
        interval = test.confidence_interval(0.95)
        return Difference(points, float(interval.low), float(interval.high), float(test.pvalue))

    def alone_among(self, rows: Iterable[Row]) -> Row | None:
        """Returns the row of the same student, data and setting without a teacher; None where there is none."""
        key = (self.student, self.setting, self.data, self.split)
        found = (row for row in rows if (row.student, row.setting, row.data, row.split) == key)
        return next((row for row in found if row.method == "none"), None)


def summarize(results: Iterable[Result], setting: str = "", teacher: str = "") -> list[Row]:
    """Groups results by student, method with its settings, data and split, in the order of their first one.

    Results on data without labels have no accuracy, and are left out.
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
    """Returns the row with the highest mean, and those that the seeds do not tell from it."""
    ranked = sorted(rows, key=lambda row: -row.mean)
    if not ranked:
        return []
    differences = [ranked[0].difference(row) for row in ranked[1:]]
    return [ranked[0], *(row for row, found in zip(ranked[1:], differences) if found is None or not found.shown)]


def method_label(result: Result) -> str:
    """Returns the method with the settings that are not its defaults: ``feature_maps (count 4)``."""
    changed = [f"{key} {value}" for settings in result.settings.values() for key, value in settings.items()]
    return result.method + (f" ({', '.join(changed)})" if changed else "")


def _mean(values: list[float]) -> float | None:
    return statistics.fmean(values) if values else None
