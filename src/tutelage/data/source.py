"""What every kind of data set is read into, before it is split: encoded images, or pixels."""

from __future__ import annotations

import hashlib
import os
import stat
import unicodedata
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tutelage.console import phase
from tutelage.errors import TutelageError

Rows = npt.NDArray[np.int64]
"""Row numbers, or one label a row."""
MOST_CLASSES = 2**20
"""That are known by their numbers alone."""

Near = tuple[int, ...]
"""Numbers of the shards that are to be near at hand, in the order in which they are needed."""


class ShardError(TutelageError):
    """Many images that cannot be read for a reason outside them: a missing shard, or a cache that cannot be written."""


@dataclass(frozen=True)
class Rendering:
    """How images that are not plain RGB of 8 bits are shown."""

    background: str = "white"
    """The color behind transparent pixels, by a name or as ``#rrggbb``."""
    white: float | None = None
    """The value of deep images (16- and 32-bit integers, floats) that is white; None: the largest of 16 bits, 1.0."""


PLAIN = Rendering()
"""What is done if no setting says otherwise."""


class Encoded(ABC):
    """One split as encoded images; row i has the label ``labels[i]``, −1 where unlabelled."""

    labels: Rows
    rendering: Rendering = PLAIN

    @abstractmethod
    def fetch(self, row: int) -> bytes:
        """Returns the encoded image of a row; raises OSError where there is none."""

    @abstractmethod
    def place(self, row: int) -> str:
        """Returns what to call a row in a message."""

    def probes(self, count: int) -> Rows:
        """Returns a few rows to learn from what the images are like, evenly spaced."""
        return np.unique(np.linspace(0, len(self) - 1, count).astype(np.int64))

    def plan(self, groups: Sequence[Rows]) -> list[Near]:
        """Returns what is to be brought near while each of the groups is read, one after the other."""
        return [()] * len(groups)

    def bring(self, near: Near) -> None:
        """Begins to bring shards near, and returns at once."""
        assert not near

    def __len__(self) -> int:
        return len(self.labels)


def read_span(path: Path | str, start: int, length: int) -> bytes:
    """Return part of a file; raise OSError if the file ends before it."""
    # Opened each time: a few microseconds, and a file that was replaced or evicted is not held open.
    with open(path, "rb", buffering=0) as file:
        data = os.pread(file.fileno(), length, start)
    if len(data) < length:
        raise OSError(f"it is cut short: {path} has changed")
    return data


class Sharded(Encoded):
    """One split whose images lie in shards, files that hold many each."""

    starts: Rows
    """The first row of each shard."""

    def locate(self, row: int) -> tuple[int, int]:
        """Returns the shard of a row, and which of the shard's images it is."""
        shard = int(np.searchsorted(self.starts, row, side="right")) - 1
        return shard, row - int(self.starts[shard])


@dataclass(frozen=True, eq=False)
class Pixels:
    """One split as decoded images of one size."""

    images: npt.NDArray[np.uint8]
    """(N, 3, H, W), a memory map or in memory."""
    labels: Rows
    broken: Mapping[int, str] = field(default_factory=dict)
    """What is wrong with each row that could not be decoded; its pixels are zero."""
    constant: Mapping[int, str] = field(default_factory=dict)
    """What to call each row whose pixels are all alike."""


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
    notes: tuple[str, ...] = ()
    """What the user should know of how the data were read."""

    def __post_init__(self) -> None:
        numbers: dict[str, int] = {}
        for number, name in enumerate(self.classes):
            label = shown(name)
            if not label:
                raise TutelageError(f"data={self.name}: class {number} has no name: give it one")
            if numbers.setdefault(label, number) != number:
                raise TutelageError(
                    f"data={self.name}: classes {numbers[label]} and {number} are both called '{label}': rename one "
                    f"or make them one class"
                )


def shown(name: str) -> str:
    """Return the name of a class as it looks: however its letters are spelled in Unicode, without spaces around it.

    Capitals and small letters look different.

    >>> shown("cafe\\u0301 ") == "caf\\u00e9"
    True
    """
    return unicodedata.normalize("NFC", name).strip()


def fingerprint_files(root: Path, files: Sequence[Path]) -> str:
    """Returns a hash over the names (below ``root``), sizes and modification times of files.

    Links that lead nowhere count by their name. Raises :class:`TutelageError` for a name that is not UTF-8, and for
    what is no file (a pipe, a device), which might never end.
    """
    digest = hashlib.sha256()
    with phase(f"checking the files of {root}", len(files)) as advance:
        for path in files:
            digest.update(_identity(root, path))
            advance(1)
    return digest.hexdigest()


def _identity(root: Path, path: Path) -> bytes:
    try:
        name = f"{os.path.relpath(path, root)}\0".encode()
    except UnicodeEncodeError:
        shown = os.fsencode(path).decode(errors="backslashreplace")
        raise TutelageError(f"{shown}: its name is not UTF-8, so that nothing can record it: rename it") from None
    try:
        status = path.stat()
    except OSError:
        return name
    if not stat.S_ISREG(status.st_mode):
        raise TutelageError(f"{path} is not a file: remove it, or give it another suffix")
    return name + f"{status.st_size}\0{status.st_mtime_ns}\n".encode()


def fingerprint_words(*words: object) -> str:
    """Returns a hash over the words' printed forms."""
    return hashlib.sha256("\0".join(map(str, words)).encode()).hexdigest()


def check_range(images: Encoded, classes: int) -> None:
    """Raises :class:`TutelageError` for the first label that is neither a class nor −1."""
    wrong = np.flatnonzero((images.labels < -1) | (images.labels >= classes))
    if len(wrong):
        raise TutelageError(
            f"{images.place(int(wrong[0]))}: label {images.labels[wrong[0]]} is not one of the {classes} classes "
            f"(0 … {classes - 1}; -1 is unlabelled)"
        )


def numbered(labels: Rows, place: Path | str) -> tuple[str, ...]:
    """Returns the names of classes that have none: their numbers, as far as the labels reach.

    Raises :class:`TutelageError` for labels beyond ``MOST_CLASSES``, which number something else.
    """
    count = int(labels.max(initial=-1)) + 1
    if count > MOST_CLASSES:
        raise TutelageError(
            f"data={place}: a label is {count - 1:,}, and labels number the classes from 0: number them so"
        )
    return tuple(map(str, range(count)))


def shard_starts(counts: Sequence[int]) -> Rows:
    """Returns the first row of each shard, for shards of so many rows that follow each other."""
    return np.cumsum([0, *counts[:-1]], dtype=np.int64)
