"""The folder in which derived data are kept, and how something is put there safely."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path


def cache_folder() -> Path:
    """Returns ``$TUTELAGE_CACHE``, else ``~/.cache/tutelage``."""
    return Path(os.environ.get("TUTELAGE_CACHE") or "~/.cache/tutelage").expanduser()


def make_once(kind: str, key: str, make: Callable[[Path], None]) -> Path:
    """Returns the cached folder ``kind/key``, which ``make`` fills on first use.

    It is filled under another name and then renamed: several processes may make it at once, and one that dies or fails
    leaves nothing that would be read.
    """
    target = cache_folder() / kind / key
    if target.is_dir():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=".partial-", dir=target.parent))
    try:
        make(partial)
        try:
            partial.rename(target)
        except OSError:
            if not target.is_dir():  # otherwise another process was faster
                raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return target
