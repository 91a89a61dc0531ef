"""File locks between processes, on file systems with and without lock support."""

from __future__ import annotations

import errno
import warnings
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from filelock import FileLock

UNSUPPORTED = {errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP}
"""Errors of ``flock`` on network file systems without locks or with an unresponsive lock service."""


def lock(path: Path, wait: bool) -> AbstractContextManager[object]:
    """Lock a file until the returned context ends or the process exits.

    On a file system without locks, a warning is issued instead. A marker file would not be a substitute: it would
    outlive a killed process and prevent the run from being resumed.

    Args:
        path: The file to lock, created if needed.
        wait: Whether to wait for another process that holds the lock.

    Raises:
        filelock.Timeout: If another process holds the lock and ``wait`` is false.
        OSError: If the file cannot be created.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder, lock(Path(folder, "lock"), wait=False):
        ...     print("locked")
        locked
    """
    try:
        return FileLock(path, fallback_to_soft=False).acquire(blocking=wait)
    except OSError as error:
        if error.errno not in UNSUPPORTED:
            raise
    warnings.warn(
        f"Several processes that write to {path.parent} at once will corrupt it, because its file system does not "
        f"support locks. Run one process at a time, or use a folder on a local disk",
        stacklevel=2,
    )
    return nullcontext()
