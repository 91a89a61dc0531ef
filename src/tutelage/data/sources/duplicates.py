"""Find held-out images whose files are copies of, or links to, training images."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tutelage.data.source import Rows, read_span
from tutelage.data.sources.image_files import FileImages

CHECKED = 1000
"""Maximum number of images of a split that are compared, evenly spaced."""
_PROBE = 256
"""Number of bytes in the middle of a file that distinguish most files of one size."""


class FileRows(NamedTuple):
    """Rows of a split of image files."""

    images: FileImages
    rows: Rows


class _File(NamedTuple):
    path: str
    size: int


def describe_duplicates(train: FileRows, held_out: Mapping[str, FileRows]) -> list[str]:
    """Return a message for each held-out split with images whose files have the same content as training images.

    Only files of equal size are opened, and only those that agree in the middle are read as a whole. The time is linear
    in the number of files.
    """
    notes = []
    for split, (images, rows) in held_out.items():
        checked = rows[np.linspace(0, len(rows) - 1, min(CHECKED, len(rows))).astype(np.int64)]
        pairs = _copies(train, FileRows(images, checked))
        if pairs:
            which = f"{len(rows):,} {split} images"
            which = which if len(checked) == len(rows) else f"{len(checked):,} images that were checked, of {which},"
            notes.append(
                f"{len(pairs):,} of {which} are also in train, so accuracy will be overestimated; remove them from one "
                f"of the two (the first: {pairs[0][1]} is {pairs[0][0]})"
            )
    return notes


def _copies(train: FileRows, held_out: FileRows) -> list[tuple[str, str]]:
    """Return the pairs (training file, held-out file) of equal content, one per held-out file."""
    sizes = np.intersect1d(train.images.sizes[train.rows], held_out.images.sizes[held_out.rows])
    probed = [{file: _middle(file) for file in _of_sizes(files, sizes[sizes > 0])} for files in (train, held_out)]
    shared = set(probed[0].values()) & set(probed[1].values()) - {None}
    ones, others = ([file for file, middle in files.items() if middle in shared] for files in probed)
    originals = {_content(file): file.path for file in ones}
    originals.pop(None, None)
    return [(originals[content], file.path) for file in others if (content := _content(file)) in originals]


def _of_sizes(files: FileRows, sizes: Rows) -> list[_File]:
    own = files.images.sizes[files.rows]
    chosen = np.isin(own, sizes)
    found = zip(files.rows[chosen].tolist(), own[chosen].tolist())
    return [_File(files.images.place(row), size) for row, size in found]


def _middle(file: _File) -> bytes | None:
    """Return some bytes from the middle, or None if the file is unreadable, which is reported when it is decoded."""
    start = max(0, (file.size - _PROBE) // 2)
    try:
        return read_span(file.path, start, min(_PROBE, file.size))
    except OSError:
        return None


def _content(file: _File) -> bytes | None:
    """Return a hash of the file, or None if it is unreadable."""
    try:
        return hashlib.sha256(Path(file.path).read_bytes()).digest()
    except OSError:
        return None
