"""Write files atomically, and seal files with a hash of their content."""

from __future__ import annotations

import hashlib
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import torch

from tutelage.errors import TutelageError

MARK = b"tutelage checkpoint, sha256\n"
CHUNK = 1 << 20
"""Number of bytes read at a time to hash a file."""


class DamagedFile(TutelageError):
    """A sealed file whose content does not match its hash."""


def replace(path: Path, write: Callable[[Path], object]) -> None:
    """Create or replace ``path`` atomically: ``write`` creates a temporary file, which is synchronized and renamed.

    If ``write`` fails, ``path`` is unchanged and no temporary file is left.
    """
    temporary = path.with_name(path.name + ".tmp")
    try:
        write(temporary)
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_sealed(path: Path, state: dict[str, Any]) -> None:
    """Write tensors and plain values, preceded by the SHA-256 of their bytes.

    Tensors stream into the file without being copied, and the hash is written last.
    """
    with path.open("wb") as file:
        file.write(MARK + bytes(hashlib.sha256().digest_size))
        content = _Hashed(file)
        torch.save(state, content)  # type: ignore[arg-type]  # it only writes
        file.seek(len(MARK))
        file.write(content.hash.digest())


def read_sealed(path: Path) -> dict[str, Any]:
    """Return the content of a file of :func:`write_sealed`, without running any code from the file.

    Raises:
        DamagedFile: If the content does not match its hash.
        TutelageError: If the file contains more than tensors and plain values.
    """
    with path.open("rb") as file:
        header = file.read(len(MARK) + hashlib.sha256().digest_size)
        start = file.tell()
        if header != MARK + _digest(file):
            raise DamagedFile(f"{path} is damaged: its content does not match its hash")
        file.seek(start)
        try:
            state: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True)
        except (pickle.UnpicklingError, RuntimeError):
            raise TutelageError(
                f"{path} is not a checkpoint of a run, because it contains more than tensors and plain values"
            ) from None
    return state


class _Hashed:
    """A file that hashes the data written to it."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.hash = hashlib.sha256()

    def write(self, data: bytes) -> int:
        self.hash.update(data)
        return self.file.write(data)

    def flush(self) -> None:
        self.file.flush()


def _digest(file: BinaryIO) -> bytes:
    """Return the hash of the rest of a file."""
    found = hashlib.sha256()
    while chunk := file.read(CHUNK):
        found.update(chunk)
    return found.digest()
