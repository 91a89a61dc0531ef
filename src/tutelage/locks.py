"""Files that processes lock against each other, on file systems with and without locks."""

from __future__ import annotations

import errno
import warnings
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from filelock import FileLock

UNSUPPORTED = {errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP}
"""What ``flock`` fails with on network file systems that have no locks, or whose lock service does not answer."""


def lock(path: Path, wait: bool) -> AbstractContextManager[object]:
    """Lock a file until what is returned is left, or the process ends.

    A file system without locks gets a warning instead of a lock. A file that merely exists would be no substitute: it
    outlives a process that is killed, and keeps the run from being resumed.

    Args:
        path: the file, which is made if it does not exist.
        wait: whether to wait for another process that has it.

    Raises:
        filelock.Timeout: another process has the file, and ``wait`` is false.
        OSError: the file cannot be made.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder, lock(Path(folder, "lock"), wait=False):
        ...     print("no other process is here")
        no other process is here
    """
    try:
        return FileLock(path, fallback_to_soft=False).acquire(blocking=wait)
    except OSError as error:
        if error.errno not in UNSUPPORTED:
            raise
    warnings.warn(
        f"Several processes that write to {path.parent} at once will damage it: its file system does not support "
        f"locks. Run one at a time there, or choose a folder on a local disk",
        stacklevel=2,
    )
    return nullcontext()
