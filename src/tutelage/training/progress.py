"""What is seen while a run trains: a bar on a terminal, one line an epoch elsewhere."""

from __future__ import annotations

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Column


class Bar:
    """A live bar over all steps of the run, with stage, epoch, images/s, loss terms and the time left."""

    def __init__(self, console: Console, steps: int) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("left {task.fields[speed]}", table_column=Column(no_wrap=True)),
            # What a narrow terminal has no room for is cut here, and nothing wraps.
            TextColumn("{task.fields[terms]}", table_column=Column(no_wrap=True, overflow="ellipsis", ratio=1)),
            console=console,
            expand=True,
            transient=True,
        )
        self._task: TaskID = self._progress.add_task("", total=steps, speed="", terms="")

    def __enter__(self) -> Bar:
        self._progress.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._progress.stop()

    def start(self, label: str, done: int) -> None:
        self._progress.update(self._task, description=label, completed=done)

    def advance(
        self, done: int, terms: dict[str, float], images_per_second: float, cached: float | None = None
    ) -> None:
        """Shows where the run is; ``cached`` is the share of batches whose targets were stored."""
        shown = " ".join(f"{name} {value:.3f}" for name, value in terms.items())
        shown += f" cache {100 * cached:.0f} %" if cached is not None else ""
        self._progress.update(self._task, completed=done, terms=shown, speed=f"{images_per_second:,.0f} images/s")

    def finish(self, line: str) -> None:
        self._progress.console.print(line, highlight=False, no_wrap=True, overflow="ellipsis")


class Lines:
    """One plain line an epoch, for files and pipes."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def __enter__(self) -> Lines:
        return self

    def __exit__(self, *exception: object) -> None: ...

    def start(self, label: str, done: int) -> None: ...

    def advance(
        self, done: int, terms: dict[str, float], images_per_second: float, cached: float | None = None
    ) -> None: ...

    def finish(self, line: str) -> None:
        self._console.print(line, highlight=False, soft_wrap=True)


def build_console(quiet: bool = False) -> Console:
    """Returns the console of a run; tables keep their columns where the output is a file or a pipe."""
    console = Console(quiet=quiet)
    return console if console.is_terminal else Console(quiet=quiet, width=160)


def build_display(console: Console, steps: int) -> Bar | Lines:
    """Returns a bar where ``console`` is a terminal, plain lines where it is not."""
    return Bar(console, steps) if console.is_terminal else Lines(console)
