"""Files that are whole or not there: written aside, synchronised, renamed; sealed ones carry their hash."""

from __future__ import annotations

import hashlib
import io
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from tutelage.errors import TutelageError

MARK = b"tutelage checkpoint, sha256\n"


def replace(path: Path, write: Callable[[Path], object]) -> None:
    """Has ``write`` make a file, and puts it in the place of ``path`` in one move; a failure leaves nothing behind."""
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
    """Writes tensors and plain values with the SHA-256 of their bytes in front of them."""
    content = io.BytesIO()
    torch.save(state, content)
    digest = hashlib.sha256(content.getbuffer()).digest()
    with path.open("wb") as file:
        file.writelines((MARK, digest, content.getbuffer()))


def read_sealed(path: Path) -> dict[str, Any]:
    """Reads what :func:`write_sealed` wrote, and runs no code; raises :class:`TutelageError` if it is damaged."""
    data = memoryview(path.read_bytes())
    start = len(MARK) + hashlib.sha256().digest_size
    if data[: len(MARK)] != MARK or hashlib.sha256(data[start:]).digest() != data[len(MARK) : start]:
        raise TutelageError(f"{path} is damaged: its content is not what its hash says")
    try:
        state: dict[str, Any] = torch.load(io.BytesIO(data[start:]), map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError):
        raise TutelageError(f"{path} is not a checkpoint of a run: it holds more than tensors and values") from None
    return state
