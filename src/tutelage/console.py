"""Console output and progress display.

Results go to stdout. Progress goes to stderr: bars and spinners on a terminal, plain lines elsewhere. Pipes and files
thus receive only the results, as plain text.
"""

from __future__ import annotations

import io
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, Task, TextColumn
from rich.table import Column
from rich.text import Text

PATIENCE = 0.5
"""Seconds after which a line announces a slow phase if there is no terminal."""
INTERVAL = 60.0
"""Seconds between further lines on the progress of a phase."""
RANKS = ("RANK", "PMI_RANK", "OMPI_COMM_WORLD_RANK", "MV2_COMM_WORLD_RANK")
"""Environment variables in which launchers of several processes set the rank."""

Advance = Callable[[int], object]
"""Called with the number of items completed since the last call."""


def build_console(stderr: bool = False) -> Console:
    """Return a console for this process.

    It prints nothing unless this is the first process of a run. Outside a terminal it is wide, so that tables keep
    their columns in files and pipes.
    """
    escape_unencodable()
    console = Console(stderr=stderr, quiet=not is_main_process())
    return console if console.is_terminal else Console(stderr=stderr, quiet=console.quiet, width=160)


def escape_unencodable() -> None:
    """Make stdout and stderr print escapes like ``\\xd7`` for characters that their encoding lacks.

    Otherwise a single ``×`` or file name would end the process with a UnicodeEncodeError in an ASCII locale.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="backslashreplace")


def is_main_process() -> bool:
    """Return whether this is the only or first process of a run, without importing PyTorch."""
    return next((os.environ[name] for name in RANKS if name in os.environ), "0") == "0"


def phase(label: str, total: int | None = None) -> AbstractContextManager[Advance]:
    """Show progress while a block runs; the block gets a function to report completed items.

    A terminal shows a bar with rate and remaining time, or a spinner with the elapsed time if ``total`` is None. Nested
    phases have a row each. Elsewhere, a phase that takes longer than ``PATIENCE`` prints a line, then one on its
    progress every ``INTERVAL``, and finally one with its duration.

    Args:
        label: Description of the phase.
        total: Number of items, if known.

    Example:
        >>> with phase("reading images", total=3) as advance:
        ...     for image in ("a.jpg", "b.jpg", "c.jpg"):
        ...         advance(1)
    """
    if not is_main_process():
        return nullcontext(_ignore)
    console = build_console(stderr=True)
    return _row(console, label, total) if console.is_terminal else _lines(console, label, total)


def _ignore(count: int) -> None: ...


@contextmanager
def _row(console: Console, label: str, total: int | None) -> Iterator[Advance]:
    with live_rows(console) as rows:
        row = rows.add_task(label, total=total)
        try:
            yield lambda count: rows.advance(row, count)
        finally:
            rows.remove_task(row)


@contextmanager
def _lines(console: Console, label: str, total: int | None) -> Iterator[Advance]:
    start, done, said, over = time.monotonic(), 0, False, threading.Event()

    def advance(count: int) -> None:
        nonlocal done
        done += count

    def say(line: str) -> None:
        console.print(line, highlight=False, soft_wrap=True, markup=False, emoji=False)

    def report() -> None:
        nonlocal said
        if over.wait(PATIENCE):
            return
        said = True
        say(f"{label} ...")
        while total is not None and not over.wait(INTERVAL):
            rate = done / (time.monotonic() - start)
            say(f"{label}: {_facts(done, total, (total - done) / rate if rate else None, rate)}")

    reporter = threading.Thread(target=report, daemon=True)
    reporter.start()
    try:
        yield advance
    finally:
        over.set()
        reporter.join()
    if said:
        say(f"{label}: {duration(time.monotonic() - start)}")


def _facts(done: float, total: float, left: float | None, rate: float | None) -> str:
    """Return the number of completed items, the remaining time and the rate, as far as known."""
    parts = [f"{done:,.0f}/{total:,.0f}"]
    parts += [f"{duration(left)} left"] if left is not None else []
    parts += [f"{rate:,.0f}/s" if rate >= 10 else f"{rate:.1f}/s"] if rate is not None else []
    return "  ".join(parts)


_rows: Progress | None = None


@contextmanager
def live_rows(console: Console) -> Iterator[Progress]:
    """Yield the rows at the bottom of the terminal, which all phases share because two live displays would collide.

    A row is a task of rich's ``Progress``. If its field ``note`` is set, it is shown instead of the rate.
    """
    global _rows
    if _rows is not None:
        yield _rows
        return
    _rows = Progress(
        SpinnerColumn("line"),
        TextColumn("{task.description}", markup=False),
        _Bar(bar_width=20),
        # Cut off instead of wrapping on a narrow terminal.
        _Facts(table_column=Column(no_wrap=True, overflow="ellipsis", ratio=1)),
        console=console,
        expand=True,
        transient=True,
        # If stdout is a file, results must still be printed there.
        redirect_stdout=sys.stdout.isatty(),
        redirect_stderr=sys.stderr.isatty(),
    )
    try:
        with _rows:
            yield _rows
    finally:
        _rows = None


class _Bar(BarColumn):
    """A bar that is only shown for tasks with a total."""

    def render(self, task: Task) -> Text | object:  # type: ignore[override]
        return super().render(task) if task.total is not None else Text()


class _Facts(ProgressColumn):
    """Completed items, remaining or elapsed time, and the rate or the row's note."""

    max_refresh = 0.5

    def render(self, task: Task) -> Text:
        if task.total is None:
            return Text(duration(task.elapsed or 0))
        if "note" not in task.fields:
            return Text(_facts(task.completed, task.total, task.time_remaining, task.speed))
        return Text(f"{_facts(task.completed, task.total, task.time_remaining, None)}  {task.fields['note']}")


def duration(seconds: float) -> str:
    """Return a duration in short form: ``120 ms``, ``4.2 s``, ``3 min 20 s``, ``2 h 05 min``."""
    if seconds < 1:
        return f"{1000 * seconds:.0f} ms"
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60:02} min"
