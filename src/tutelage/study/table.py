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


def summarize(results: Iterable[Result]) -> list[Row]:
    """Groups results by student, method and split, in the order in which they first appear."""
    groups: dict[tuple[str, str, str], list[Result]] = {}
    for result in results:
        groups.setdefault((result.student, result.method, result.split), []).append(result)
    return [
        Row(
            *key,
            top1=tuple(result.top1 for result in group),
            parameters=group[0].parameters,
            seconds=statistics.fmean(result.seconds for result in group),
        )
        for key, group in groups.items()
    ]


def results_table(rows: Iterable[Row]) -> Table:
    """Returns the rows as a table for the terminal."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in ("network", "method", "seeds", "top-1 %, last epoch", "on", "parameters", "seconds a run"):
        table.add_column(column, justify="right" if column in ("seeds", "parameters", "seconds a run") else "left")
    for row in rows:
        cells = [row.student, row.method, str(len(row.top1)), row.figure, row.split]
        table.add_row(*cells, f"{row.parameters:,}", f"{row.seconds:.1f}")
    return table
