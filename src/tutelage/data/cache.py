"""The folder in which derived data are kept, and how something is put there safely."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock

from tutelage.data.source import ShardError

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def cache_folder() -> Path:
    """Returns ``$TUTELAGE_CACHE``, else ``~/.cache/tutelage``."""
    return Path(os.environ.get("TUTELAGE_CACHE") or "~/.cache/tutelage").expanduser()


def make_once(kind: str, key: str, make: Callable[[Path], None]) -> Path:
    """Return the cached folder ``kind/key``, which ``make`` fills on first use.

    One process fills it while others wait. It is filled under another name and then renamed, so that a process that
    dies or fails leaves nothing that would be read; the next one removes what a dead process left.

    Raises:
        ShardError: the cache cannot be written, or its disk is full.
    """
    target = cache_folder() / kind / key
    if target.is_dir():
        return target
    partial = target.with_name(f".partial-{key}")
    lock = _lock(f"{kind}-{key}")
    try:
        if not target.is_dir():
            shutil.rmtree(partial, ignore_errors=True)
            try:
                partial.mkdir(parents=True)
            except OSError as error:
                raise unwritable(error) from None
            try:
                make(partial)
            except OSError as error:
                if error.errno not in _FULL:  # of what is read
                    raise
                raise unwritable(error) from None
            partial.rename(target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        lock.release()
    return target


def unwritable(error: OSError) -> ShardError:
    """Build the error for a cache that cannot be written, which is not the fault of any image.

    >>> print(unwritable(OSError(errno.ENOSPC, "No space left on device")))  # doctest: +ELLIPSIS
    the cache in ... cannot be written (No space left on device): free some space there, or set TUTELAGE_CACHE to ...
    """
    return ShardError(
        f"the cache in {cache_folder()} cannot be written ({error.strerror or error}): free some space there, or set "
        f"TUTELAGE_CACHE to a folder that can be written"
    )


def reserve(path: Path, size: int) -> None:
    """Take ``size`` bytes on the disk for a file that will be mapped; raises OSError if there is no room.

    A full disk would otherwise end the process with SIGBUS when a page of the map is written. Systems that have no
    such call (macOS) only compare with the free space.
    """
    if hasattr(os, "posix_fallocate"):
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, size)
    elif shutil.disk_usage(path).free < size:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))


def _lock(name: str) -> FileLock:
    """Wait for, and take, a lock that the system releases when its process ends, however it ends."""
    lock = FileLock(cache_folder() / "locks" / f"{name}.lock")
    try:
        Path(lock.lock_file).parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except OSError as error:
        raise unwritable(error) from None
    return lock
