"""Common form of all data sets before splitting: encoded images or pixels."""

from __future__ import annotations

import hashlib
import os
import stat
import unicodedata
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tutelage.console import phase
from tutelage.errors import TutelageError

Rows = npt.NDArray[np.int64]
"""Row numbers, or one label per row."""
MOST_CLASSES = 2**20
"""Largest number of classes without names."""

Near = tuple[int, ...]
"""Numbers of the shards to keep in the local cache, in the order of their use."""


class ShardError(TutelageError):
    """Error that affects many images: a shard cannot be read, or the cache cannot be written."""


@dataclass(frozen=True)
class Rendering:
    """Conversion of images that are not 8-bit RGB."""

    background: str = "white"
    """Color behind transparent pixels, by name or as ``#rrggbb``."""
    white: float | None = None
    """Value of white in images of 16- or 32-bit integers or floats. None for 65535, and 1.0 for floats."""


PLAIN = Rendering()
"""The default conversion."""


class Encoded(ABC):
    """Split of encoded images. Row i has the label ``labels[i]``, −1 if unlabeled."""

    labels: Rows
    rendering: Rendering = PLAIN

    @abstractmethod
    def fetch(self, row: int) -> bytes:
        """Return the encoded image of a row.

        Raises:
            OSError: If there is no such image.
        """

    @abstractmethod
    def place(self, row: int) -> str:
        """Return a description of a row for messages: its file, and where in the file."""

    def probes(self, count: int) -> Rows:
        """Return up to ``count`` evenly spaced rows, from which to infer properties of the images."""
        return np.unique(np.linspace(0, len(self) - 1, count).astype(np.int64))

    def plan(self, groups: Sequence[Rows]) -> list[Near]:
        """Return the shards to keep in the local cache while each of the groups is read, one after the other."""
        return [()] * len(groups)

    def bring(self, near: Near) -> None:
        """Start to prefetch shards, and return immediately."""
        assert not near

    def __len__(self) -> int:
        return len(self.labels)


def read_span(path: Path | str, start: int, length: int) -> bytes:
    """Return ``length`` bytes of a file from ``start`` on.

    Raises:
        OSError: If the file is shorter.
    """
    # Opening takes microseconds, and replaced or evicted files are not kept open.
    with open(path, "rb", buffering=0) as file:
        data = os.pread(file.fileno(), length, start)
    if len(data) < length:
        raise OSError(f"{path} is shorter than when it was indexed")
    return data


class Sharded(Encoded):
    """Split whose images are stored in shards, files with many images each."""

    starts: Rows
    """First row of each shard."""

    def locate(self, row: int) -> tuple[int, int]:
        """Return the number of a row's shard, and the row's number within the shard."""
        shard = int(np.searchsorted(self.starts, row, side="right")) - 1
        return shard, row - int(self.starts[shard])


@dataclass(frozen=True, eq=False)
class Pixels:
    """Split of decoded images of one size."""

    images: npt.NDArray[np.uint8]
    """Images (N, 3, H, W), in a memory map or in memory."""
    labels: Rows
    broken: Mapping[int, str] = field(default_factory=dict)
    """Error message for each row that could not be decoded; its pixels are zero."""
    constant: Mapping[int, str] = field(default_factory=dict)
    """Description of each row whose pixels all have one color."""


@dataclass(frozen=True, eq=False)
class Source:
    """Data set by split: ``train`` and, if available, ``validation`` and ``test``."""

    name: str
    classes: tuple[str, ...]
    splits: Mapping[str, Encoded | Pixels]
    fingerprint: str
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    padding: int | None = None
    """Default padding of the random crop in pixels. None for an eighth of the size."""
    flip: bool = True
    """Whether training images are mirrored by default."""
    notes: tuple[str, ...] = ()
    """Warnings about how the data were read."""

    def __post_init__(self) -> None:
        numbers: dict[str, int] = {}
        for number, name in enumerate(self.classes):
            label = shown(name)
            if not label:
                raise TutelageError(f"data={self.name}: class {number} has an empty name; name it")
            if numbers.setdefault(label, number) != number:
                raise TutelageError(
                    f"data={self.name}: classes {numbers[label]} and {number} are both called '{label}'; rename one "
                    f"or merge them"
                )


def shown(name: str) -> str:
    """Return a class name in Unicode's composed form (NFC) without surrounding spaces. The case does not change.

    Example:
        >>> shown("cafe\\u0301 ") == "caf\\u00e9"
        True
    """
    return unicodedata.normalize("NFC", name).strip()


class FileFacts(NamedTuple):
    """A hash of files, and their sizes."""

    fingerprint: str
    """Hash of the names (relative to a root), sizes and modification times. Broken links only count by name."""
    sizes: Rows
    """Size of each file in bytes; 0 for broken links."""


def examine_files(root: Path, files: Sequence[Path]) -> FileFacts:
    """Return a hash of files below ``root`` and their sizes, without reading them.

    Raises:
        TutelageError: If a name is not UTF-8, or something is not a regular file; reading a pipe may never end.
    """
    digest, sizes = hashlib.sha256(), np.zeros(len(files), dtype=np.int64)
    with phase(f"checking the files of {root}", len(files)) as advance:
        for number, path in enumerate(files):
            name, status = _encoded(root, path), _status(path)
            digest.update(name)
            if status is not None:
                digest.update(f"{status.st_size}\0{status.st_mtime_ns}\n".encode())
                sizes[number] = status.st_size
            advance(1)
    return FileFacts(digest.hexdigest(), sizes)


def _encoded(root: Path, path: Path) -> bytes:
    try:
        return f"{os.path.relpath(path, root)}\0".encode()
    except UnicodeEncodeError:
        shown = os.fsencode(path).decode(errors="backslashreplace")
        raise TutelageError(f"{shown}: the name is not valid UTF-8; rename it") from None


def _status(path: Path) -> os.stat_result | None:
    try:
        status = path.stat()
    except OSError:
        return None
    if not stat.S_ISREG(status.st_mode):
        raise TutelageError(f"{path} is not a regular file; remove it, or change its suffix")
    return status


def fingerprint_words(*words: object) -> str:
    """Return a hash of the string forms of ``words``."""
    return hashlib.sha256("\0".join(map(str, words)).encode()).hexdigest()


def check_range(images: Encoded, classes: int) -> None:
    """Raise TutelageError for the first label that is neither a class number nor −1."""
    wrong = np.flatnonzero((images.labels < -1) | (images.labels >= classes))
    if len(wrong):
        raise TutelageError(
            f"{images.place(int(wrong[0]))}: label {images.labels[wrong[0]]} is not one of the {classes} classes; use "
            f"0 … {classes - 1}, or -1 for unlabelled"
        )


def numbered(labels: Rows, place: Path | str) -> tuple[str, ...]:
    """Return class numbers, up to the largest label, as names of classes.

    Raises:
        TutelageError: If a label is ``MOST_CLASSES`` or larger, and therefore not a class number.
    """
    count = int(labels.max(initial=-1)) + 1
    if count > MOST_CLASSES:
        raise TutelageError(f"data={place}: label {count - 1:,} is too large; labels must number the classes from 0")
    return tuple(map(str, range(count)))


def shard_starts(counts: Sequence[int]) -> Rows:
    """Return the first row of each of several consecutive shards with these numbers of rows."""
    return np.cumsum([0, *counts[:-1]], dtype=np.int64)
