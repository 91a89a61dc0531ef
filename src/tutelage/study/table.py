"""Results of runs that differ only in their seed, as mean ± standard deviation."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from dataclasses import dataclass

from rich.table import Table

from tutelage.training import Result


@dataclass(frozen=True)
class Row:
    """The runs of one student with one method on one kind of data."""

    student: str
    method: str
    split: str
    top1: tuple[float, ...]
    parameters: int
    seconds: float
    """Mean training time of a run."""
    teacher_top1: float | None = None
    """Mean of the teacher's accuracy on the same split; None where there was none."""

    @property
    def mean(self) -> float:
        return statistics.fmean(self.top1)

    def gap_closed(self, alone: float) -> float | None:
        """Share of the way from the student ``alone`` to its teacher, in percent; None where there is no such way."""
        if self.teacher_top1 is None or self.teacher_top1 <= alone:
            return None
        return 100 * (self.mean - alone) / (self.teacher_top1 - alone)

    @property
    def deviation(self) -> float | None:
        """Standard deviation over the seeds (n − 1); None for one seed."""
        return statistics.stdev(self.top1) if len(self.top1) > 1 else None

    @property
    def figure(self) -> str:
        """``mean ± deviation``, in percent."""
        return f"{self.mean:.2f}" + (f" ± {self.deviation:.2f}" if self.deviation is not None else "")


def summarize(results: Iterable[Result]) -> list[Row]:
    """Groups results by student, method with its settings, and split, in the order in which they first appear."""
    groups: dict[tuple[str, str, str], list[Result]] = {}
    for result in results:
        groups.setdefault((result.student, method_label(result), result.split), []).append(result)
    return [
        Row(
            *key,
            top1=tuple(result.top1 for result in group),
            parameters=group[0].parameters,
            seconds=statistics.fmean(result.seconds for result in group),
            teacher_top1=_mean([result.teacher_top1 for result in group if result.teacher_top1 is not None]),
        )
        for key, group in groups.items()
    ]


def method_label(result: Result) -> str:
    """Returns the method with the settings that are not its defaults: ``feature_maps (count 4)``."""
    changed = [f"{key} {value}" for settings in result.settings.values() for key, value in settings.items()]
    return result.method + (f" ({', '.join(changed)})" if changed else "")


def _mean(values: list[float]) -> float | None:
    return statistics.fmean(values) if values else None


def results_table(rows: Iterable[Row]) -> Table:
    """Returns the rows as a table for the terminal."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in ("network", "method", "seeds", "top-1 %, last epoch", "on", "parameters", "seconds a run"):
        table.add_column(column, justify="right" if column in ("seeds", "parameters", "seconds a run") else "left")
    for row in rows:
        cells = [row.student, row.method, str(len(row.top1)), row.figure, row.split]
        table.add_row(*cells, f"{row.parameters:,}", f"{row.seconds:.1f}")
    return table
