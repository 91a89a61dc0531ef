"""Tar shards in WebDataset's layout: KEY.jpg with KEY.cls or KEY.json, ``train-*.tar``, ``val-*.tar``, ``test-*``."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from tutelage.data.source import (
    Rows,
    Sharded,
    Source,
    check_range,
    examine_files,
    numbered,
    read_span,
    shard_starts,
)
from tutelage.data.sources.tar_index import INDEX, TarIndex, scan
from tutelage.data.split_names import split_of_word
from tutelage.data.stored.derived import make_once
from tutelage.data.visible_files import is_image, walk
from tutelage.errors import TutelageError

_TAR = re.compile(r"\.(tar|tgz|tar\.(gz|bz2|xz|zst|lz4))$")


class TarImages(Sharded):
    """Split of images in uncompressed tar files, which are read in place without unpacking.

    Args:
        root: The folder of the shards.
        index: File of the ``TarIndex``, which every process maps to memory.
        shards: Numbers of the split's shards in the index.
    """

    def __init__(self, root: Path, index: Path, shards: list[int]) -> None:
        self._root, self._index, self._shards = root, index, shards
        labels = [shard.samples.column("label").fill_null(-1).to_numpy() for shard in self._mapped]
        self.labels = np.concatenate(labels)
        self.starts = shard_starts([len(part) for part in labels])

    def fetch(self, row: int) -> bytes:
        number, place = self.locate(row)
        shard = self._mapped[number]
        return read_span(shard.path, int(shard.offsets[place]), int(shard.sizes[place]))

    def place(self, row: int) -> str:
        number, place = self.locate(row)
        shard = self._mapped[number]
        return f"{shard.path}, {shard.samples.column('name')[place].as_py()}"

    def unlabelled(self) -> Rows:
        """Return the rows without a label in the shard; −1 is a label."""
        missing = [shard.samples.column("label").is_null().to_numpy(zero_copy_only=False) for shard in self._mapped]
        return np.flatnonzero(np.concatenate(missing))

    @cached_property
    def _mapped(self) -> list[_Shard]:
        index = TarIndex.open(self._index)
        names = list(index.sizes)
        return [_Shard.of(self._root / names[number], index.samples[number]) for number in self._shards]

    def __getstate__(self) -> dict[str, Any]:
        # Pickling a mapped index for a spawned worker would copy all of its content.
        return {name: value for name, value in vars(self).items() if name != "_mapped"}


class _Shard(NamedTuple):
    """Path of a shard, and its part of the mapped index."""

    path: str
    offsets: Rows
    sizes: Rows
    samples: pa.RecordBatch

    @classmethod
    def of(cls, path: Path, samples: pa.RecordBatch) -> _Shard:
        return cls(str(path), samples.column("offset").to_numpy(), samples.column("size").to_numpy(), samples)


def find_shards(root: Path) -> list[str]:
    """Return the tar files below a folder, sorted; none if it also contains images, which are then the data set."""
    found = []
    for inside, names in walk(root, links=False):
        if any(map(is_image, names)):
            return []
        found += [(inside / name).relative_to(root).as_posix() for name in names if _TAR.search(name)]
    return sorted(found)


def read_tar(root: Path, shards: Sequence[str] | None = None) -> Source:
    """Read tar shards. The name (``train-0001.tar``) or the folder (``train/0001.tar``) of a shard states its split.

    Class names come from ``classes.json`` (a list) or ``classes.txt`` (one per line). Without these files, classes are
    named by their numbers.

    Args:
        root: The folder.
        shards: Its shards, as ``find_shards`` returns them. None to list them.

    Raises:
        TutelageError: If a shard is compressed, damaged or belongs to no split, or a sample has no image, no label or
            a label out of range.
    """
    by_split = split_shards(root, find_shards(root) if shards is None else shards)
    files = [root / name for names in by_split.values() for name in names]
    fingerprint = examine_files(root, files).fingerprint
    path = _shipped_index(root, files) or make_once(
        "tar", fingerprint[:32], lambda folder: scan(root, files).save(folder / INDEX)
    ).joinpath(INDEX)
    numbers = {name: number for number, name in enumerate(TarIndex.open(path).sizes)}
    splits = {split: TarImages(root, path, [numbers[name] for name in names]) for split, names in by_split.items()}
    for images in splits.values():
        missing = images.unlabelled()
        if 0 < len(missing) < len(images):
            raise TutelageError(
                f"{images.place(int(missing[0]))} has no label; add a KEY.cls with its class number, or "
                f'a KEY.json with {{"label": number}} (-1 is unlabelled)'
            )
    classes = class_names(root, splits["train"].labels)
    for images in splits.values():
        check_range(images, len(classes))
    return Source(root.resolve().name, classes, dict(splits), fingerprint)


def split_shards(place: Path | str, names: Sequence[str]) -> dict[str, list[str]]:
    """Return the shards of each split. If no name contains a split, all shards are the training set.

    Args:
        place: Name of the data set for error messages.
        names: Paths of the shards, relative to the folder.

    Raises:
        TutelageError: If there is no training shard, or a shard belongs to no split or is compressed.
    """
    compressed = next((name for name in names if not name.endswith(".tar")), None)
    if compressed is not None:
        raise TutelageError(
            f"data={place}: {compressed} is compressed, but images are read by their offset; decompress it to "
            f".tar (gunzip, zstd -d)"
        )
    splits = {name: _split(name) for name in names}
    if not any(splits.values()):
        return {"train": list(names)}
    stray = next((name for name, split in splits.items() if split is None), None)
    if stray is not None:
        raise TutelageError(
            f"data={place}: the split of {stray} is unclear; rename it to train-…, val-… or test-…, or move it out"
        )
    if "train" not in splits.values():
        raise TutelageError(f"data={place} has tar files but none named train-*.tar (found {names[0]}); rename them")
    return {
        split: [name for name in names if splits[name] == split]
        for split in ("train", "validation", "test")
        if split in splits.values()
    }


def class_names(root: Path, labels: Rows) -> tuple[str, ...]:
    """Return the class names in the folder's ``classes.json`` or ``classes.txt``, or class numbers without these.

    Raises:
        TutelageError: If ``classes.json`` is not a list of names.
    """
    listed, lines = root / "classes.json", root / "classes.txt"
    if listed.is_file():
        try:
            names = json.loads(listed.read_text("utf-8"))
        except ValueError as error:
            raise TutelageError(f"{listed} is not readable as JSON ({error}); fix or remove it") from None
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise TutelageError(f"{listed} is not a list of class names; fix or remove it")
    elif lines.is_file():
        names = lines.read_text("utf-8").splitlines()
    else:
        names = list(numbered(labels, root))
    return tuple(names)


def _split(name: str) -> str | None:
    """Return the split in the name of the file or of a folder above it, or None."""
    *folders, file = name.split("/")
    words = [*re.split(r"[-._]", file), *reversed(folders)]
    return next((split for word in words if (split := split_of_word(word)) is not None), None)


def _shipped_index(root: Path, files: list[Path]) -> Path | None:
    """Return the index next to the shards, or None; raise TutelageError if it belongs to other files."""
    path = root / INDEX
    if not path.is_file():
        return None
    listed = TarIndex.open(path).sizes
    found = {file.relative_to(root).as_posix(): file.stat().st_size for file in files}
    for name in sorted(listed.keys() | found.keys()):
        if listed.get(name) != found.get(name):
            here, said = (f"{sizes[name]:,} bytes" if name in sizes else "missing" for sizes in (found, listed))
            raise TutelageError(
                f"{root / name} is {here}, but {said} in {INDEX}; copy the shards again, or remove {INDEX} to "
                f"rebuild it"
            )
    return path
