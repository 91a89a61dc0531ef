"""Files that are complete or absent: written aside, synchronized, renamed. Sealed ones carry their hash."""

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
"""Bytes that are read at a time to hash a file."""


class DamagedFile(TutelageError):
    """A sealed file whose content does not match its hash."""


def replace(path: Path, write: Callable[[Path], object]) -> None:
    """Have ``write`` create a file and move it to ``path`` in one step; a failure leaves nothing behind."""
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

    The tensors stream into the file one by one, and the hash is filled in at the end, so that nothing is copied.
    """
    with path.open("wb") as file:
        file.write(MARK + bytes(hashlib.sha256().digest_size))
        content = _Hashed(file)
        torch.save(state, content)  # type: ignore[arg-type]  # it only writes
        file.seek(len(MARK))
        file.write(content.hash.digest())


def read_sealed(path: Path) -> dict[str, Any]:
    """Return what :func:`write_sealed` wrote, without running any code from the file.

    Raises:
        DamagedFile: the content does not match its hash.
        TutelageError: the file holds more than tensors and plain values.
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
            raise TutelageError(f"{path} is not a checkpoint of a run: it holds more than tensors and values") from None
    return state


class _Hashed:
    """A file that hashes what is written to it."""

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
