"""Cache for data derived from a data set, with safe concurrent writing."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from tutelage.data.source import ShardError
from tutelage.errors import TutelageError
from tutelage.locks import lock

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def cache_folder() -> Path:
    """Return ``$TUTELAGE_CACHE`` or ``~/.cache/tutelage``.

    Raises:
        TutelageError: If the user has no home directory, as in containers that run under an arbitrary user ID.
    """
    try:
        return Path(os.environ.get("TUTELAGE_CACHE") or "~/.cache/tutelage").expanduser()
    except RuntimeError:
        raise TutelageError(
            "there is no place for the cache, because this user has no home directory; set TUTELAGE_CACHE to a "
            "writable folder"
        ) from None


def make_once(kind: str, key: str, make: Callable[[Path], None]) -> Path:
    """Return the cached folder ``kind/key``, which ``make`` fills on first use.

    One process fills the folder while others wait. It is filled under a temporary name and then renamed, so that no
    incomplete folder is ever read. The next process removes the leftovers of a killed one.

    Args:
        kind: Kind of data, a folder of the cache.
        key: Identifier of the data.
        make: Function that writes the data to a given folder.

    Raises:
        ShardError: If the cache cannot be written, or its disk is full.
    """
    target = cache_folder() / kind / key
    if target.is_dir():
        return target
    with _locked(f"{kind}-{key}"):
        if not target.is_dir():
            _fill(target, make)
    return target


def _fill(target: Path, make: Callable[[Path], None]) -> None:
    partial = target.with_name(f".partial-{target.name}")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        try:
            partial.mkdir(parents=True)
        except OSError as error:
            raise unwritable(error) from None
        try:
            make(partial)
        except OSError as error:
            if error.errno not in _FULL:  # an error in reading the source
                raise
            raise unwritable(error) from None
        partial.rename(target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def unwritable(error: OSError) -> ShardError:
    """Return the error for a cache that cannot be written. It is a ShardError, so that no image is reported as broken.

    Example:
        >>> print(unwritable(OSError(errno.ENOSPC, "No space left on device")))  # doctest: +ELLIPSIS
        the cache in ... cannot be written (No space left on device); free some space there, or set TUTELAGE_CACHE ...
    """
    return ShardError(
        f"the cache in {cache_folder()} cannot be written ({error.strerror or error}); free some space there, or set "
        f"TUTELAGE_CACHE to a writable folder"
    )


def reserve(path: Path, size: int) -> None:
    """Reserve ``size`` bytes on the disk for a file that will be mapped.

    Otherwise, writing to the map on a full disk would kill the process with SIGBUS. Systems without
    ``posix_fallocate`` (macOS) only check the free space.

    Raises:
        OSError: If the disk is full.
    """
    if hasattr(os, "posix_fallocate"):
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, size)
    elif shutil.disk_usage(path).free < size:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))


def _locked(name: str) -> AbstractContextManager[object]:
    """Return a lock of the cache, which waits until it is free."""
    path = cache_folder() / "locks" / f"{name}.lock"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return lock(path, wait=True)
    except OSError as error:
        raise unwritable(error) from None
