"""Progress of a run: a bar on a terminal, otherwise one line per epoch."""

from __future__ import annotations

from contextlib import AbstractContextManager, ExitStack, nullcontext

from rich.console import Console
from rich.progress import Progress, TaskID

from tutelage.console import Advance, build_console, live_rows, phase


class Lines:
    """One plain line per epoch, for files and pipes."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def __enter__(self) -> Lines:
        return self

    def __exit__(self, *exception: object) -> None: ...

    def start(self, label: str, done: int) -> None: ...

    def advance(
        self, done: int, terms: dict[str, float], images_per_second: float, cached: float | None = None
    ) -> None: ...

    def validating(self, images: int) -> AbstractContextManager[Advance]:
        """Return a context that shows nothing, because the line of the epoch follows."""
        return nullcontext(lambda count: None)

    def finish(self, line: str) -> None:
        """Print the line of an epoch, cut off at the width of a terminal."""
        cut = self._console.is_terminal
        self._console.print(
            line, highlight=False, soft_wrap=not cut, no_wrap=True, overflow="ellipsis" if cut else "ignore"
        )


class Bar(Lines):
    """Plain lines and a live bar over all steps with stage, epoch, images/s, loss terms and remaining time."""

    def __init__(self, console: Console, screen: Console, steps: int) -> None:
        super().__init__(console)
        self._screen = screen
        self._steps = steps
        self._held = ExitStack()
        self._rows: Progress
        self._row: TaskID

    def __enter__(self) -> Bar:
        self._rows = self._held.enter_context(live_rows(self._screen))
        self._row = self._rows.add_task("", total=self._steps, note="")
        return self

    def __exit__(self, *exception: object) -> None:
        self._rows.remove_task(self._row)
        self._held.close()

    def start(self, label: str, done: int) -> None:
        self._rows.update(self._row, description=label, completed=done)

    def advance(
        self, done: int, terms: dict[str, float], images_per_second: float, cached: float | None = None
    ) -> None:
        """Update the bar; ``cached`` is the fraction of batches with cached targets."""
        shown = " ".join(f"{name} {value:.3f}" for name, value in terms.items())
        shown += f" cache {100 * cached:.0f} %" if cached is not None else ""
        self._rows.update(self._row, completed=done, note=f"{images_per_second:,.0f} images/s  {shown}")

    def validating(self, images: int) -> AbstractContextManager[Advance]:
        """Show a second row while the student is validated."""
        return phase("validating", images)


def build_display(console: Console, steps: int) -> Lines:
    """Return a bar if there is a terminal, and plain lines otherwise."""
    screen = build_console(stderr=True)
    return Bar(console, screen, steps) if screen.is_terminal and not screen.quiet else Lines(console)
