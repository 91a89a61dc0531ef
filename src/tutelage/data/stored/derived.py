"""Data derived from a source and kept on disk: where they lie, and how they are written safely."""

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
        TutelageError: the user has no home directory, as in containers that run under any user ID.
    """
    try:
        return Path(os.environ.get("TUTELAGE_CACHE") or "~/.cache/tutelage").expanduser()
    except RuntimeError:
        raise TutelageError(
            "the cache has no place, because this user has no home directory: set TUTELAGE_CACHE to a folder that can "
            "be written"
        ) from None


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
            if error.errno not in _FULL:  # of what is read
                raise
            raise unwritable(error) from None
        partial.rename(target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


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
    """Take ``size`` bytes on the disk for a file that will be mapped; raises OSError if the disk is full.

    A full disk would otherwise end the process with SIGBUS when a page of the map is written. Systems that have no
    such call (macOS) only compare with the free space.
    """
    if hasattr(os, "posix_fallocate"):
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, size)
    elif shutil.disk_usage(path).free < size:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))


def _locked(name: str) -> AbstractContextManager[object]:
    """Wait for a lock of the cache, and take it."""
    path = cache_folder() / "locks" / f"{name}.lock"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return lock(path, wait=True)
    except OSError as error:
        raise unwritable(error) from None
