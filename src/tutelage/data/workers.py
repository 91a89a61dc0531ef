"""Worker processes: transfer of their batches, guard of the user's script, and errors when they end."""

from __future__ import annotations

import multiprocessing
import shutil
import signal
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from tutelage.errors import TutelageError

GUARD = '`if __name__ == "__main__":`'
"""Guard that scripts need around their calls if processes are spawned."""
SHARED_MEMORY = Path("/dev/shm")
"""Linux's file system for shared memory; macOS and Windows do not limit its size."""
PREFETCHED = 2
"""Number of batches that each worker prepares in advance."""


def check_main_guard() -> None:
    """Raise TutelageError in a worker process that is still importing the user's script.

    Spawned processes import the script again. Without a guard, each of them would train, too.
    """
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        sys.tracebacklimit = 0  # the traceback would hide the message
        raise TutelageError(
            f"a worker process imported your script, which calls tutelage again; put the script's calls under {GUARD}"
        )


@contextmanager
def signals_kept() -> Iterator[None]:
    """Keep the handler of SIGCHLD when worker processes start.

    PyTorch installs one that raises wherever this process is when a worker ends, even while a file is written. Reading
    the next batch reports it, too.
    """
    if threading.current_thread() is not threading.main_thread() or sys.platform == "win32":
        yield
        return
    handler = signal.getsignal(signal.SIGCHLD)
    try:
        yield
    finally:
        signal.signal(signal.SIGCHLD, handler or signal.SIG_DFL)


def explain_end(error: BaseException) -> TutelageError | None:
    """Return an error with the remedy if ``error`` reports that a worker process ended; None otherwise."""
    reason = str(error).split(". ")[0]
    # Connections break if the process ends while it sends a batch.
    if not isinstance(error, (ConnectionError, EOFError)) and not reason.startswith("DataLoader worker ("):
        return None
    return TutelageError(
        f"a process that decodes images ended ({reason}). {_unguarded()}Lower data.workers if memory is short, or set "
        f"data.workers=0 to decode in the main process"
    )


def explain_start(error: Exception) -> TutelageError:
    """Return an error with the remedy if worker processes cannot be started."""
    return TutelageError(
        f"the processes that decode images could not be started ({error}). {_unguarded()}Set data.workers=0 to decode "
        f"in the main process"
    )


def _unguarded() -> str:
    """Return the remedy for scripts without a guard; empty if processes do not import the script again."""
    if multiprocessing.get_start_method() == "fork":
        return ""
    return f"Worker processes import your script: put its calls under {GUARD}. "


def share(images: Tensor) -> Tensor | np.ndarray[Any, Any]:
    """Move a batch to shared memory. If it is full, return an array, which is sent through the worker's pipe.

    A tensor that does not fit would get lost, and the main process would wait for it forever.
    """
    # PyTorch leaks a file descriptor with each failure, so the free space is checked first.
    if not SHARED_MEMORY.is_dir() or shutil.disk_usage(SHARED_MEMORY).free >= images.nbytes:
        try:
            return images.share_memory_()
        except RuntimeError:  # another process took the space
            pass
    return images.numpy()


@cache
def warn_of_pipes(batch_bytes: int, workers: int) -> None:
    """Warn once that shared memory is too small for a batch."""
    needed = (workers * PREFETCHED + 2) * batch_bytes  # two more: one in use, one being copied
    warnings.warn(
        f"{SHARED_MEMORY} is too small for the batches of data.workers={workers}, which take about "
        f"{needed / 2**20:.0f} MB; slower pipes are used instead. Increase it (docker run "
        f"--shm-size={-(-needed // 2**30)}g), or set data.workers=0",
        stacklevel=2,
    )
