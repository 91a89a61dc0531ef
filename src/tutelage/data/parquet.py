"""Parquet folders in Hugging Face's layout: encoded images, class numbers, class names in the schema's metadata."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tutelage.data.cache import make_once
from tutelage.data.folder import SPLITS
from tutelage.data.source import Encoded, Rows, Source, fingerprint_files, fingerprint_words
from tutelage.errors import TutelageError

IMAGE_COLUMNS, LABEL_COLUMNS = ("image", "img"), ("label", "fine_label", "labels")


class ParquetImages(Encoded):
    """Images in parquet files, copied on first use to one file that any process can read at any place.

    A parquet file itself gives a row only with the thousands around it.
    """

    def __init__(self, files: list[Path], column: str, labels: Rows, key: str) -> None:
        self.labels = labels
        self._files = files
        self._column = column
        self._key = key

    def fetch(self, row: int) -> bytes:
        data, ends = self._copy
        start = ends[row - 1] if row else 0
        return data[start : ends[row]].tobytes()

    def place(self, row: int) -> str:
        for path in self._files:
            count = pq.ParquetFile(path).metadata.num_rows
            if row < count:
                break
            row -= count
        return f"{path}, row {row}"

    @cached_property
    def _copy(self) -> tuple[np.memmap[Any, np.dtype[np.uint8]], Rows]:
        folder = make_once("parquet", self._key, self._write)
        ends = np.load(folder / "ends.npy")
        return np.memmap(folder / "images.bin", dtype=np.uint8, mode="r", shape=(max(1, ends[-1]),)), ends

    def __getstate__(self) -> dict[str, Any]:
        # A memory map would travel to a spawned worker with all it maps.
        return {name: value for name, value in vars(self).items() if name != "_copy"}

    def _write(self, folder: Path) -> None:
        lengths = []
        with open(folder / "images.bin", "wb") as out:
            for image in self._images():
                lengths.append(out.write(image))
            out.write(b"\0" * (sum(lengths) == 0))  # an empty file cannot be mapped
        np.save(folder / "ends.npy", np.cumsum(lengths, dtype=np.int64))

    def _images(self) -> Iterator[bytes]:
        for path in self._files:
            for batch in pq.ParquetFile(path).iter_batches(batch_size=256, columns=[self._column]):
                for cell in batch.column(0):
                    value = cell.as_py()
                    yield (value["bytes"] if isinstance(value, dict) else value) or b""


def read_parquet(root: Path) -> Source:
    """Reads the files ``train-*.parquet``, ``validation-*`` and ``test-*`` at any depth of a folder.

    Raises :class:`TutelageError` where there is no training file, a column is missing, or a label is out of range.
    """
    files = sorted(root.rglob("*.parquet"))
    by_split: dict[str, list[Path]] = {}
    for path in files:
        split = SPLITS.get(re.split(r"[-._]", path.name)[0])
        if split is not None:
            by_split.setdefault(split, []).append(path)
    if "train" not in by_split:
        raise TutelageError(f"data={root} has parquet files but none named train-*.parquet (found {files[0].name})")
    fingerprint = fingerprint_files(root, files)
    schema = _open(by_split["train"][0]).schema_arrow
    image, label = _column(schema, IMAGE_COLUMNS, root), _column(schema, LABEL_COLUMNS, root)
    labels = {split: _labels(paths, label) for split, paths in by_split.items()}
    classes = _class_names(schema, label) or tuple(map(str, range(int(labels["train"].max(initial=-1)) + 1)))
    if not classes:
        raise TutelageError(f"data={root} has no class names in its metadata and no label in its training rows")
    images = {
        split: ParquetImages(paths, image, labels[split], fingerprint_words(fingerprint, split)[:32])
        for split, paths in by_split.items()
    }
    for part in images.values():
        _check_range(part, len(classes))
    return Source(root.resolve().name, classes, dict(images), fingerprint)


def _open(path: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise TutelageError(f"{path} is not a readable parquet file: {error}") from None


def _column(schema: pa.Schema, names: tuple[str, ...], place: Path) -> str:
    found = next((name for name in names if name in schema.names), None)
    if found is None:
        raise TutelageError(
            f"data={place} has no column '{names[0]}': its columns are {', '.join(schema.names)}; "
            f"rename yours to {names[0]}"
        )
    return found


def _labels(paths: list[Path], column: str) -> Rows:
    parts = []
    for path in paths:
        file = _open(path)
        if column not in file.schema_arrow.names:
            raise TutelageError(f"{path} has no column '{column}', which the training files have")
        if not pa.types.is_integer(file.schema_arrow.field(column).type):
            raise TutelageError(
                f"{path}: column '{column}' holds {file.schema_arrow.field(column).type}, not class numbers (int64)"
            )
        parts.append(file.read(columns=[column])[column].fill_null(-1).to_numpy().astype(np.int64))
    return np.concatenate(parts)


def _class_names(schema: pa.Schema, label: str) -> tuple[str, ...]:
    """Class names in the schema's ``huggingface`` metadata; none where it has none."""
    metadata = (schema.metadata or {}).get(b"huggingface", b"{}")
    return tuple(json.loads(metadata).get("info", {}).get("features", {}).get(label, {}).get("names", ()))


def _check_range(images: ParquetImages, classes: int) -> None:
    wrong = np.flatnonzero((images.labels < -1) | (images.labels >= classes))
    if len(wrong):
        raise TutelageError(
            f"{images.place(wrong[0])}: label {images.labels[wrong[0]]} is not one of the {classes} classes "
            f"(0 … {classes - 1}; -1 is unlabelled)"
        )
