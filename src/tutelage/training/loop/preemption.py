"""SIGTERM, which clusters send before they take a machine away, and Ctrl-C: the run saves what it has, and ends."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from tutelage.errors import EXIT_CODE


class Preempted(SystemExit):
    """Ends the process with :data:`tutelage.errors.EXIT_CODE`, once a checkpoint is written."""

    def __init__(self) -> None:
        super().__init__(EXIT_CODE)


class Notice:
    """Whether SIGTERM or SIGINT has come, which are answered after the step under way.

    An exception in the middle of a step can come at any of its instructions: between two of a queue's, say, whose
    other end then waits for ever.
    """

    def __init__(self) -> None:
        self.received: signal.Signals | None = None

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGINT:
            if self.received is signal.SIGINT:
                raise KeyboardInterrupt  # who asks twice does not want to wait
            # Not print, which may be at work at this very moment.
            os.write(2, b"\nstopping after this step; Ctrl-C again: now, and back to the last checkpoint\n")
        self.received = signal.Signals(number)

    def answer(self) -> BaseException:
        """Returns what ends the run: KeyboardInterrupt after Ctrl-C, else, and for another process's, Preempted."""
        return KeyboardInterrupt() if self.received is signal.SIGINT else Preempted()

    @contextmanager
    def awaited(self) -> Iterator[None]:
        """Notes the signals instead of dying of them; in the main thread, the only one that may.

        SIGINT is left as it is where it means something else than KeyboardInterrupt, as under nohup.
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
