"""Worker processes: how their batches travel, what they need of the user's script, and what their end means."""

from __future__ import annotations

import multiprocessing
import shutil
import sys
import warnings
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from tutelage.errors import TutelageError

GUARD = '`if __name__ == "__main__":`'
"""What the calls of a script belong under, where processes are spawned."""
SHARED_MEMORY = Path("/dev/shm")
"""Where Linux keeps the memory that processes share; macOS and Windows do not limit it."""
PREFETCHED = 2
"""Batches that each worker prepares ahead."""


def check_main_guard() -> None:
    """Raise :class:`TutelageError` in a worker process that is still importing the user's script.

    Processes that are spawned import the script again. Without a guard, each of them would train, too.
    """
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        sys.tracebacklimit = 0  # this process ends here, and the message says it all
        raise TutelageError(
            f"a worker process imported your script, which calls tutelage again: put the script's calls under {GUARD}"
        )


def explain_end(error: BaseException) -> TutelageError | None:
    """Return what to do if ``error`` reports the end of a worker process; None if it reports something else."""
    reason = str(error).split(". ")[0]
    # The connections break if the process ends while it hands over a batch.
    if not isinstance(error, (ConnectionError, EOFError)) and not reason.startswith("DataLoader worker ("):
        return None
    return TutelageError(
        f"a process that decodes images ended ({reason}). {_unguarded()}Lower data.workers if memory is short, or set "
        f"data.workers=0 to decode in the main process"
    )


def explain_start(error: Exception) -> TutelageError:
    """Return what to do if worker processes cannot be started."""
    return TutelageError(
        f"the processes that decode images could not be started ({error}). {_unguarded()}Set data.workers=0 to decode "
        f"in the main process"
    )


def _unguarded() -> str:
    """Return the advice for scripts that worker processes import again."""
    if multiprocessing.get_start_method() == "fork":
        return ""
    return f"Worker processes import your script: put its calls under {GUARD}. "


def share(images: Tensor) -> Tensor | np.ndarray[Any, Any]:
    """Move a batch to shared memory; if it has no room, return an array, which goes through the worker's pipe.

    A tensor that does not fit would be lost on its way, and the main process would wait for it forever.
    """
    # PyTorch leaks a file descriptor with each failure, so the free space is compared first.
    if not SHARED_MEMORY.is_dir() or shutil.disk_usage(SHARED_MEMORY).free >= images.nbytes:
        try:
            return images.share_memory_()
        except RuntimeError:  # another process was faster
            pass
    return images.numpy()


@cache
def warn_of_pipes(batch_bytes: int, workers: int) -> None:
    """Warn, once, that shared memory has no room for a batch."""
    needed = (workers * PREFETCHED + 2) * batch_bytes  # and one in use, one being copied
    warnings.warn(
        f"{SHARED_MEMORY} is too small for the batches of data.workers={workers}, which take about "
        f"{needed / 2**20:.0f} MB; they go through pipes, which is slower. Give the container more (docker run "
        f"--shm-size={-(-needed // 2**30)}g), or set data.workers=0",
        stacklevel=2,
    )
