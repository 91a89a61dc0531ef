"""What every kind of data set is read into, before it is split: encoded images, or pixels."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[np.int64]
"""Row numbers, or one label a row."""


class Encoded(ABC):
    """One split as encoded images; row i has the label ``labels[i]``, −1 where unlabelled."""

    labels: Rows

    @abstractmethod
    def fetch(self, row: int) -> bytes:
        """Returns the encoded image of a row; raises OSError where there is none."""

    @abstractmethod
    def place(self, row: int) -> str:
        """Returns what to call a row in a message."""

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, eq=False)
class Pixels:
    """One split as decoded images of one size."""

    images: npt.NDArray[np.uint8]
    """(N, 3, H, W), a memory map or in memory."""
    labels: Rows
    broken: Mapping[int, str] = field(default_factory=dict)
    """What is wrong with each row that could not be decoded; its pixels are zero."""


@dataclass(frozen=True, eq=False)
class Source:
    """A data set by split: ``train``, and perhaps ``validation`` and ``test``."""

    name: str
    classes: tuple[str, ...]
    splits: Mapping[str, Encoded | Pixels]
    fingerprint: str
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    padding: int | None = None
    """Of the random crop; None: an eighth of the size."""
    flip: bool = True


def fingerprint_files(root: Path, files: Iterable[Path]) -> str:
    """Returns a hash over the names (below ``root``), sizes and modification times of files."""
    digest = hashlib.sha256()
    for path in files:
        status = path.stat()
        digest.update(f"{path.relative_to(root)}\0{status.st_size}\0{status.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def fingerprint_words(*words: object) -> str:
    """Returns a hash over the words' printed forms."""
    return hashlib.sha256("\0".join(map(str, words)).encode()).hexdigest()
