"""Tar shards in WebDataset's layout: KEY.jpg beside KEY.cls or KEY.json, ``train-*.tar``, ``val-*.tar``, ``test-*``."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from tutelage.data.files import is_image, walk
from tutelage.data.source import Rows, Sharded, Source, check_range, fingerprint_files, numbered, shard_starts
from tutelage.data.sources.tar_index import INDEX, TarIndex, scan
from tutelage.data.split_names import split_of_word
from tutelage.data.stored.cache import make_once
from tutelage.errors import TutelageError

OPEN = 64
"""Shards that a process keeps open."""
_TAR = re.compile(r"\.(tar|tgz|tar\.(gz|bz2|xz|zst|lz4))$")


class TarImages(Sharded):
    """Images in uncompressed tar files, each read where it lies; nothing is unpacked.

    Args:
        root: the folder.
        index: file of the :class:`TarIndex`, which every process maps.
        shards: numbers of this split's shards in it.
        version: tells the files from others of the same names.
    """

    def __init__(self, root: Path, index: Path, shards: list[int], version: str) -> None:
        self._root, self._index, self._shards, self._version = root, index, shards, version
        labels = [shard.samples.column("label").fill_null(-1).to_numpy() for shard in self._mapped]
        self.labels = np.concatenate(labels)
        self.starts = shard_starts([len(part) for part in labels])

    def fetch(self, row: int) -> bytes:
        number, place = self.locate(row)
        shard = self._mapped[number]
        size = int(shard.sizes[place])
        data = os.pread(_open(shard.path, self._version).number, size, int(shard.offsets[place]))
        if len(data) < size:
            raise OSError(f"it is cut short: {shard.path} has changed")
        return data

    def place(self, row: int) -> str:
        number, place = self.locate(row)
        shard = self._mapped[number]
        return f"{shard.path}, {shard.samples.column('name')[place].as_py()}"

    def unlabelled(self) -> Rows:
        """Returns the rows of samples without any label; one of −1 is a label."""
        missing = [shard.samples.column("label").is_null().to_numpy(zero_copy_only=False) for shard in self._mapped]
        return np.flatnonzero(np.concatenate(missing))

    @cached_property
    def _mapped(self) -> list[_Shard]:
        index = TarIndex.open(self._index)
        names = list(index.sizes)
        return [_Shard.of(self._root / names[number], index.samples[number]) for number in self._shards]

    def __getstate__(self) -> dict[str, Any]:
        # A mapped index would travel to a spawned worker with all it maps.
        return {name: value for name, value in vars(self).items() if name != "_mapped"}


class _Shard(NamedTuple):
    """A shard and its part of the index, whose numbers are looked up where they are mapped."""

    path: str
    offsets: Rows
    sizes: Rows
    samples: pa.RecordBatch

    @classmethod
    def of(cls, path: Path, samples: pa.RecordBatch) -> _Shard:
        return cls(str(path), samples.column("offset").to_numpy(), samples.column("size").to_numpy(), samples)


@dataclass(frozen=True)
class _Descriptor:
    """An open file that any number of processes reads at any place, for a position is not kept."""

    number: int

    def __del__(self) -> None:
        os.close(self.number)


@lru_cache(OPEN)
def _open(path: str, version: str) -> _Descriptor:
    return _Descriptor(os.open(path, os.O_RDONLY))


def find_shards(root: Path) -> list[str]:
    """Returns the tar files below a folder, sorted; none where there are images too, which are then the data."""
    found = []
    for inside, names in walk(root, links=False):
        if any(map(is_image, names)):
            return []
        found += [(inside / name).relative_to(root).as_posix() for name in names if _TAR.search(name)]
    return sorted(found)


def read_tar(root: Path) -> Source:
    """Reads tar shards; a shard's split is a word of its name (``train-0001.tar``) or its folder (``train/0001.tar``).

    Classes are named by ``classes.txt``, a line a class, or ``classes.json``, a list, and else by their numbers. Raises
    :class:`TutelageError` for a shard that is compressed, damaged, or of no split, and for a sample without image or
    label or with one out of range.
    """
    by_split = split_shards(root, find_shards(root))
    files = [root / name for names in by_split.values() for name in names]
    fingerprint = fingerprint_files(root, files)
    path = _shipped_index(root, files) or make_once(
        "tar", fingerprint[:32], lambda folder: scan(root, files).save(folder / INDEX)
    ).joinpath(INDEX)
    numbers = {name: number for number, name in enumerate(TarIndex.open(path).sizes)}
    splits = {
        split: TarImages(root, path, [numbers[name] for name in names], fingerprint)
        for split, names in by_split.items()
    }
    for images in splits.values():
        missing = images.unlabelled()
        if 0 < len(missing) < len(images):
            raise TutelageError(
                f"{images.place(int(missing[0]))} has no label: a KEY.cls with its class number belongs beside it, or "
                f'a KEY.json with {{"label": number}} (-1 is unlabelled)'
            )
    classes = class_names(root, splits["train"].labels)
    for images in splits.values():
        check_range(images, len(classes))
    return Source(root.resolve().name, classes, dict(splits), fingerprint)


def split_shards(place: Path | str, names: list[str]) -> dict[str, list[str]]:
    """Returns the shards of each split, by their paths below the folder; without any split's name, all are training.

    Raises :class:`TutelageError` where there is no training shard or one is of no split, or is compressed.
    """
    compressed = next((name for name in names if not name.endswith(".tar")), None)
    if compressed is not None:
        raise TutelageError(
            f"data={place}: {compressed} is compressed, and samples are read where they lie: unpack it to .tar "
            f"(gunzip, zstd -d); its images lose nothing"
        )
    splits = {name: _split(name) for name in names}
    if not any(splits.values()):
        return {"train": names}
    stray = next((name for name, split in splits.items() if split is None), None)
    if stray is not None:
        raise TutelageError(f"data={place}: which split is {stray} of? Name it train-…, val-… or test-…, or move it")
    if "train" not in splits.values():
        raise TutelageError(f"data={place} has tar files but none named train-*.tar (found {names[0]})")
    return {
        split: [name for name in names if splits[name] == split]
        for split in ("train", "validation", "test")
        if split in splits.values()
    }


def class_names(root: Path, labels: Rows) -> tuple[str, ...]:
    """Returns the classes' names as the folder has them in ``classes.json`` or ``classes.txt``, else their numbers."""
    listed, lines = root / "classes.json", root / "classes.txt"
    if listed.is_file():
        try:
            names = json.loads(listed.read_text("utf-8"))
        except ValueError as error:
            raise TutelageError(f"{listed} is not readable as JSON: {error}") from None
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise TutelageError(f"{listed} is not a list of class names")
    elif lines.is_file():
        names = lines.read_text("utf-8").splitlines()
    else:
        names = list(numbered(labels, root))
    return tuple(names)


def _split(name: str) -> str | None:
    """The split that a word of the file's name or, where that has none, a folder above it is the name of."""
    *folders, file = name.split("/")
    words = [*re.split(r"[-._]", file), *reversed(folders)]
    return next((split for word in words if (split := split_of_word(word)) is not None), None)


def _shipped_index(root: Path, files: list[Path]) -> Path | None:
    """The index beside the shards; raises :class:`TutelageError` where it is of other files than these."""
    path = root / INDEX
    if not path.is_file():
        return None
    listed = TarIndex.open(path).sizes
    found = {file.relative_to(root).as_posix(): file.stat().st_size for file in files}
    for name in sorted(listed.keys() | found.keys()):
        if listed.get(name) != found.get(name):
            here, said = (f"{sizes[name]:,} bytes" if name in sizes else "missing" for sizes in (found, listed))
            raise TutelageError(
                f"{root / name} is {here}, and {said} in {INDEX}: copy the shards again, or remove {INDEX} to take "
                f"them as they are"
            )
    return path
