"""Trains what is not finished of a list of runs, and shows how far they are."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor

from tutelage.console import build_console
from tutelage.runs import RunFolder
from tutelage.study.display import Watch
from tutelage.study.grid import Cell
from tutelage.study.workers import work


def train_cells(cells: Sequence[Cell], pool: ProcessPoolExecutor) -> dict[str, str]:
    """Trains the runs that are not finished, and returns why runs failed, by name.

    Raises :class:`TutelageError` where a process died.
    """
    left = [cell for cell in cells if not RunFolder(cell.settings.out).is_finished()]
    failed: dict[str, str] = {}
    with Watch(build_console(), cells, left) as watch:

        def end(cell: Cell, error: str | None) -> None:
            watch.ended(cell, error)
            if error is not None:
                failed[cell.name] = error

        work(pool, left, watch.poll, end)
    return failed
