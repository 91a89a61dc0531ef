"""Train the unfinished runs of a list, and show their progress."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from tutelage.console import build_console
from tutelage.runs import RunFolder
from tutelage.study.grid import Cell
from tutelage.study.workers import screen_of, work
from tutelage.training import Result


def train_cells(
    cells: Sequence[Cell], pool: ProcessPoolExecutor, is_time_up: Callable[[], bool] = lambda: False
) -> dict[str, str]:
    """Train the runs that are not finished.

    Args:
        cells: The runs, in the order in which they start.
        pool: The processes that train them.
        is_time_up: Called repeatedly; once it returns true, the processes of the pool are stopped, and their runs stay
            unfinished.

    Returns:
        The errors of failed runs, by name of the run.

    Raises:
        TutelageError: If a process died.
    """
    left = [cell for cell in cells if not RunFolder(cell.settings.out).is_finished()]
    failed: dict[str, str] = {}
    with Watch(build_console(), cells, left) as watch:

        def end(cell: Cell, error: str | None) -> None:
            watch.ended(cell, error)
            if error is not None:
                failed[cell.name] = error

        work(pool, left, watch.poll, end, is_time_up)
    return failed


class Watch:
    """The progress display of a study, based on the files that its runs write."""

    def __init__(self, console: Console, cells: Sequence[Cell], left: Sequence[Cell]) -> None:
        self._console = console
        self._left = {cell.name: cell for cell in left}
        self._lines: dict[str, TaskID] = {}
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}", markup=False),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._all = self._progress.add_task("runs", total=len(cells), completed=len(cells) - len(left), note="")

    def __enter__(self) -> Watch:
        self._progress.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._progress.stop()

    def poll(self) -> None:
        """Show the epochs of the runs in progress."""
        if not self._console.is_terminal:
            return
        for cell in self._left.values():
            if screen_of(cell.settings).exists():
                self._show(cell)

    def _show(self, cell: Cell) -> None:
        if cell.name not in self._lines:
            self._lines[cell.name] = self._progress.add_task(cell.name, total=cell.settings.epochs, note="")
        records = RunFolder(cell.settings.out).read_metrics()
        note = f"val top-1 {records[-1]['val/top1']:.2f} %" if records and "val/top1" in records[-1] else ""
        self._progress.update(self._lines[cell.name], completed=len(records), note=note)

    def ended(self, cell: Cell, error: str | None) -> None:
        """Print the result of a run, or its error."""
        del self._left[cell.name]
        if cell.name in self._lines:
            self._progress.remove_task(self._lines.pop(cell.name))
        self._progress.advance(self._all)
        if error is not None:
            said = f"{cell.name} failed: {error}"
        else:
            result = Result.read(cell.settings.out)
            said = f"{cell.name}: {_accuracy(result)}, {result.seconds:.0f} s"
        self._console.print(said, highlight=False, soft_wrap=True, markup=False)


def _accuracy(result: Result) -> str:
    """Return the validation accuracy if there is one, because settings must not be chosen on test data."""
    if result.validation_top1 is not None:
        return f"{result.validation_top1:.2f} % top-1 on validation"
    return f"{result.top1:.2f} % top-1 on {result.split}"
