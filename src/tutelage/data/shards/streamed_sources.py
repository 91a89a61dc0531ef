"""Streamed data sets: tar or parquet files in a folder or on the hub."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tutelage.data.shards.streaming import IMAGES, SPANS, Shard, StreamedImages
from tutelage.data.source import Rows, Source, check_range, examine_files, fingerprint_words
from tutelage.data.sources.hub import CLASSES, Repository, look_up, tar_shards
from tutelage.data.sources.parquet import (
    classes_of,
    columns_of,
    copy_images,
    find_parquet,
    labels_of,
    open_parquet,
    split_files,
)
from tutelage.data.sources.tar import class_names, find_shards, read_tar, split_shards
from tutelage.data.sources.tar_index import INDEX, TarIndex
from tutelage.data.stored.derived import make_once
from tutelage.errors import TutelageError

CONNECTIONS = 16
"""Number of files whose labels are read concurrently."""


class ParquetFiles(Protocol):
    """Protocol for the parquet files of a folder or repository."""

    @property
    def name(self) -> str: ...

    @property
    def version(self) -> str:
        """Identifier that changes if any of the files changes."""
        ...

    @property
    def sizes(self) -> Mapping[str, int]:
        """Size of each file in bytes."""
        ...

    def parquet(self, name: str) -> AbstractContextManager[pq.ParquetFile]: ...

    def bring(self, name: str, folder: Path) -> Path:
        """Return the path of a file, which is downloaded to ``folder`` if it is not local."""
        ...


@dataclass(frozen=True)
class LocalParquet:
    """Parquet files in a local folder."""

    root: Path
    version: str
    sizes: Mapping[str, int]

    @classmethod
    def of(cls, root: Path) -> LocalParquet:
        """Return the parquet files at any depth of a folder."""
        paths = find_parquet(root)
        sizes = {path.relative_to(root).as_posix(): path.stat().st_size for path in paths}
        return cls(root, examine_files(root, paths).fingerprint, sizes)

    @property
    def name(self) -> str:
        return str(self.root)

    @contextmanager
    def parquet(self, name: str) -> Iterator[pq.ParquetFile]:
        yield open_parquet(self.root / name)

    def bring(self, name: str, folder: Path) -> Path:
        return self.root / name


@dataclass(frozen=True)
class Streaming:
    """Settings of streaming, and the data sets that are read with them."""

    window: int
    """Number of shards that are shuffled together, and prefetched."""
    limit: int | None
    """Maximum size of the shards in the cache in bytes; None for no limit."""

    def folder(self, root: Path) -> Source:
        """Read a folder of tar shards, which are used in place, or of parquet files.

        Raises:
            TutelageError: If there are none.
        """
        shards = find_shards(root)
        if shards:
            return read_tar(root, shards)
        files = LocalParquet.of(root)
        if not files.sizes:
            raise TutelageError(
                f"data.stream=true needs tar shards or parquet files, and {root} has none; write shards with "
                f"tutelage data pack data={root} out=FOLDER"
            )
        return self._parquet(root.resolve().name, files, list(files.sizes))

    def repository(self, name: str) -> Source:
        """Read the shards of USER/NAME on the hub. Only their labels are downloaded beforehand."""
        repository, short = look_up(name), name.rpartition("/")[2]
        files = repository.files(".parquet")
        return self._parquet(short, repository, files) if files else self._tar(short, repository)

    def _parquet(self, name: str, place: ParquetFiles, names: Sequence[str]) -> Source:
        by_split = split_files(place.name, names)
        fingerprint = fingerprint_words(place.name, place.version)
        schema, labels = _read_labels(place, by_split, fingerprint)
        image, label = columns_of(schema, place.name)
        classes = classes_of(schema, label, np.concatenate([labels[file] for file in by_split["train"]]), place.name)
        splits = {}
        for split, files in by_split.items():
            shards = [
                Shard(file, len(labels[file]), place.sizes[file], partial(_copy_parquet, place, file, image))
                for file in files
            ]
            splits[split] = self._images(shards, [labels[file] for file in files], fingerprint, split)
            check_range(splits[split], len(classes))
        return Source(name, classes, dict(splits), fingerprint)

    def _tar(self, name: str, repository: Repository) -> Source:
        by_split = split_shards(repository.name, tar_shards(repository))
        if INDEX not in repository.sizes:
            raise TutelageError(
                f"data={repository.name} has tar shards but no {INDEX}, which streaming reads the labels from; "
                f"write one with tutelage data pack, or remove data.stream to download all shards first"
            )
        root = repository.download([INDEX, *(file for file in CLASSES if file in repository.sizes)])
        index = TarIndex.open(root / INDEX)
        numbers = {shard: number for number, shard in enumerate(index.sizes)}
        unknown = next((shard for shards in by_split.values() for shard in shards if shard not in numbers), None)
        if unknown is not None:
            raise TutelageError(
                f"data={repository.name}: {INDEX} does not list {unknown}; pack the shards again and upload them"
            )
        labels = {shard: index.labels(number) for shard, number in numbers.items()}
        classes = class_names(root, np.concatenate([labels[shard] for shard in by_split["train"]]))
        splits = {}
        for split, names in by_split.items():
            shards = [
                Shard(
                    shard,
                    len(labels[shard]),
                    repository.sizes[shard],
                    partial(_copy_tar, repository, shard, root / INDEX, numbers[shard]),
                )
                for shard in names
            ]
            splits[split] = self._images(shards, [labels[shard] for shard in names], repository.version, split)
            check_range(splits[split], len(classes))
        return Source(name, classes, dict(splits), fingerprint_words(repository.name, repository.version))

    def _images(self, shards: list[Shard], labels: list[Rows], fingerprint: str, split: str) -> StreamedImages:
        return StreamedImages(shards, np.concatenate(labels), f"{fingerprint[:32]}/{split}", self.window, self.limit)


def _read_labels(
    place: ParquetFiles, by_split: Mapping[str, Sequence[str]], fingerprint: str
) -> tuple[pa.Schema, dict[str, Rows]]:
    """Return the schema of the training files and the labels of each file, read once and then cached."""
    names = [name for names in by_split.values() for name in names]

    def make(folder: Path) -> None:
        with place.parquet(by_split["train"][0]) as file:
            schema = file.schema_arrow
        _, column = columns_of(schema, place.name)

        def read(name: str) -> Rows:
            with place.parquet(name) as file:
                return labels_of(file, column, f"{place.name}/{name}")

        with ThreadPoolExecutor(CONNECTIONS) as pool:
            np.savez(folder / "labels.npz", *pool.map(read, names))
        (folder / "schema").write_bytes(schema.serialize())

    folder = make_once("labels", fingerprint[:32], make)
    with np.load(folder / "labels.npz") as kept:
        labels = {name: kept[f"arr_{number}"] for number, name in enumerate(names)}
    return pa.ipc.read_schema(pa.BufferReader((folder / "schema").read_bytes())), labels


def _copy_parquet(place: ParquetFiles, name: str, column: str, folder: Path) -> None:
    copy_images([place.bring(name, folder / "download")], column, folder)
    shutil.rmtree(folder / "download", ignore_errors=True)
    ends = np.load(folder / "ends.npy")
    np.save(folder / SPANS, np.stack([np.concatenate([[0], ends[:-1]]), np.diff(ends, prepend=0)], axis=1))


def _copy_tar(repository: Repository, name: str, index: Path, number: int, folder: Path) -> None:
    repository.bring(name, folder / "download").rename(folder / IMAGES)
    shutil.rmtree(folder / "download")
    samples = TarIndex.open(index).samples[number]
    spans = [samples.column(column).to_numpy() for column in ("offset", "size")]
    np.save(folder / SPANS, np.stack(spans, axis=1))
