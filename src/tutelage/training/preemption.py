"""SIGTERM, which clusters send some time before they take a machine away: the run saves what it has and ends."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

EXIT_CODE = 75
"""EX_TEMPFAIL of sysexits.h: nothing is wrong, the same work is to be tried again."""


class Preempted(SystemExit):
    """Ends the process with :data:`EXIT_CODE`, once a checkpoint is written."""

    def __init__(self) -> None:
        super().__init__(EXIT_CODE)


class Notice:
    """Whether SIGTERM has come."""

    def __init__(self) -> None:
        self.received = False

    def _receive(self, number: int, frame: FrameType | None) -> None:
        self.received = True

    @contextmanager
    def awaited(self) -> Iterator[None]:
        """Notes the signal instead of dying of it; in the main thread, the only one that may."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        usual = signal.signal(signal.SIGTERM, self._receive)
        try:
            yield
        finally:
            signal.signal(signal.SIGTERM, usual)
