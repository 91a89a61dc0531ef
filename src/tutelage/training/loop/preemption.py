"""Stop a run after the current step on Ctrl-C or SIGTERM, which clusters send before they reclaim a machine."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from tutelage.errors import EXIT_CODE


class Preempted(SystemExit):
    """Exit with :data:`tutelage.errors.EXIT_CODE` after SIGTERM, raised once a checkpoint is written."""

    def __init__(self) -> None:
        super().__init__(EXIT_CODE)


class Notice:
    """The received SIGTERM or SIGINT, if any, which takes effect after the current step.

    An exception from a signal handler could interrupt a step anywhere, for example in the middle of a queue operation,
    and leave the other end of the queue waiting forever.
    """

    def __init__(self) -> None:
        self.received: signal.Signals | None = None

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGINT:
            if self.received is signal.SIGINT:
                raise KeyboardInterrupt  # the second Ctrl-C stops immediately
            # Not print, which the signal may have interrupted.
            os.write(2, b"\nstopping after this step; Ctrl-C again: now, and back to the last checkpoint\n")
        self.received = signal.Signals(number)

    def answer(self) -> BaseException:
        """Return the exception that ends the run: KeyboardInterrupt after Ctrl-C in this process, or else Preempted."""
        return KeyboardInterrupt() if self.received is signal.SIGINT else Preempted()

    @contextmanager
    def awaited(self) -> Iterator[None]:
        """Record signals inside the block instead of ending the process; only in the main thread, as Python requires.

        SIGINT is not handled if its handler is not Python's default, for example in background jobs of a shell script.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        usual = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
        if usual[signal.SIGINT] is not signal.default_int_handler:
            del usual[signal.SIGINT]
        for number in usual:
            signal.signal(number, self._receive)
        try:
            yield
        finally:
            for number, handler in usual.items():
                signal.signal(number, handler)
