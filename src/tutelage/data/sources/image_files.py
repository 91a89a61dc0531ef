"""Images in files, with paths in memory that worker processes share."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from tutelage.data.source import Encoded, Rows, examine_files


class FileImages(Encoded):
    """Split of images in files; ``sizes`` are their sizes in bytes, if known."""

    def __init__(self, files: Sequence[Path], labels: Sequence[int], sizes: Rows | None = None) -> None:
        self._paths = Paths(files)
        self.labels = np.array(labels, dtype=np.int64)
        self.sizes = np.zeros(len(files), dtype=np.int64) if sizes is None else sizes

    def fetch(self, row: int) -> bytes:
        return Path(self._paths[row]).read_bytes()

    def place(self, row: int) -> str:
        return self._paths[row]


def read_splits(
    root: Path, splits: Mapping[str, Sequence[tuple[Path, int]]], tables: Sequence[Path] = ()
) -> tuple[dict[str, FileImages], str]:
    """Return the splits of image files below ``root``, and their fingerprint.

    Args:
        root: Folder of the data set.
        splits: Files and labels of each split.
        tables: Other files whose changes change the fingerprint.

    Raises:
        TutelageError: If a name is not UTF-8, or something is not a regular file.
    """
    facts = examine_files(root, [*tables, *(path for listed in splits.values() for path, _ in listed)])
    images, start = {}, len(tables)
    for split, listed in splits.items():
        sizes = facts.sizes[start : start + len(listed)]
        images[split] = FileImages([path for path, _ in listed], [label for _, label in listed], sizes)
        start += len(listed)
    return images, facts.fingerprint


class Paths:
    """Sequence of paths, stored as one tensor of bytes and one of the paths' ends.

    Tensors move to shared memory when they are sent to a process. Spawned workers then map the paths, and forked
    workers do not copy them page by page, as they would with a list of objects.

    Example:
        >>> paths = Paths([Path("cats/1.png"), Path("dogs/ä.png")])
        >>> len(paths), paths[1]
        (2, 'dogs/ä.png')
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        encoded = [os.fsencode(path) for path in paths]
        self._bytes: Tensor = torch.from_numpy(np.frombuffer(bytearray(b"".join(encoded)), dtype=np.uint8))
        self._ends: Tensor = torch.from_numpy(np.cumsum([0, *map(len, encoded)], dtype=np.int64))

    def __len__(self) -> int:
        return len(self._ends) - 1

    def __getitem__(self, number: int) -> str:
        start, end = self._ends[number : number + 2].tolist()
        return os.fsdecode(self._bytes[start:end].numpy().tobytes())
