"""Parquet files in Hugging Face's layout: encoded images, class numbers, class names in the schema's metadata."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tutelage.console import Advance, phase
from tutelage.data.source import (
    Encoded,
    Rows,
    ShardError,
    Source,
    check_range,
    examine_files,
    fingerprint_words,
    numbered,
)
from tutelage.data.split_names import split_of_word
from tutelage.data.stored.derived import make_once
from tutelage.data.visible_files import walk
from tutelage.errors import TutelageError

IMAGE_COLUMNS, LABEL_COLUMNS = ("image", "img"), ("label", "fine_label", "labels")


class ParquetImages(Encoded):
    """Split of images in parquet files, copied on first use to one file with random access.

    Reading a single row of a parquet file would decode thousands of rows around it.

    Args:
        files: The parquet files, in the order of the rows.
        column: Name of the column of images.
        labels: Labels of all rows.
        key: Name of the copy in the cache.
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
        folder = make_once("parquet", self._key, self._make_copy)
        ends = np.load(folder / "ends.npy")
        return np.memmap(folder / "images.bin", dtype=np.uint8, mode="r", shape=(max(1, ends[-1]),)), ends

    def _make_copy(self, folder: Path) -> None:
        with phase(f"copying images from {len(self._files)} parquet files", len(self)) as advance:
            copy_images(self._files, self._column, folder, advance)

    def __getstate__(self) -> dict[str, Any]:
        # Pickling a memory map for a spawned worker would copy all of its content.
        return {name: value for name, value in vars(self).items() if name != "_copy"}


def copy_images(files: Sequence[Path], column: str, folder: Path, advance: Advance = lambda count: None) -> None:
    """Write the images of parquet files to ``images.bin``, one after the other, and their ends to ``ends.npy``.

    Args:
        files: The parquet files.
        column: Name of the column of images.
        folder: Folder to write to.
        advance: Function that is called with 1 after each image, to report progress.

    Raises:
        ShardError: If a file is damaged.
    """
    lengths = []
    with open(folder / "images.bin", "wb") as out:
        for image in _images(files, column):
            lengths.append(out.write(image))
            advance(1)
        out.write(b"\0" * (sum(lengths) == 0))  # an empty file cannot be mapped
    np.save(folder / "ends.npy", np.cumsum(lengths, dtype=np.int64))


def _images(files: Sequence[Path], column: str) -> Iterator[bytes]:
    for path in files:
        with _named(path):
            for batch in pq.ParquetFile(path).iter_batches(batch_size=256, columns=[column]):
                for cell in batch.column(0):
                    value = cell.as_py()
                    yield (value["bytes"] if isinstance(value, dict) else value) or b""


def read_parquet(root: Path, files: Sequence[Path] | None = None) -> Source:
    """Read the files ``train-*.parquet``, ``validation-*`` and ``test-*`` at any depth of a folder.

    Args:
        root: The folder.
        files: Its parquet files, sorted. None to list them.

    Raises:
        TutelageError: If there is no training file or no training row, a file is damaged, a column is missing or has
            another type, or a label is out of range.
    """
    files = find_parquet(root) if files is None else files
    by_split = split_files(root, [path.relative_to(root).as_posix() for path in files])
    paths = {split: [root / name for name in names] for split, names in by_split.items()}
    fingerprint = examine_files(root, files).fingerprint
    schema = open_parquet(paths["train"][0]).schema_arrow
    image, label = columns_of(schema, root)
    labels = {
        split: np.concatenate([_labels(path, (image, label)) for path in parts]) for split, parts in paths.items()
    }
    classes = classes_of(schema, label, labels["train"], root)
    images = {
        split: ParquetImages(parts, image, labels[split], fingerprint_words(fingerprint, split)[:32])
        for split, parts in paths.items()
    }
    for part in images.values():
        check_range(part, len(classes))
    return Source(root.resolve().name, classes, dict(images), fingerprint)


def find_parquet(root: Path) -> list[Path]:
    """Return the visible parquet files at any depth of a folder, sorted."""
    found = []
    for inside, names in walk(root, links=False):
        if inside.suffix == ".parquet" and inside != root:
            raise TutelageError(f"{inside} is not a file; remove it, or rename it")
        found += [inside / name for name in names if name.endswith(".parquet")]
    return sorted(found)


def _labels(path: Path, columns: tuple[str, str]) -> Rows:
    """Return the labels of a file, which must have the same columns as the first training file."""
    file = open_parquet(path)
    own = columns_of(file.schema_arrow, path)
    if own != columns:
        raise TutelageError(f"{path} has the columns {own}, and the first training file {columns}; rename one")
    return labels_of(file, columns[1], path)


def split_files(place: Path | str, names: Sequence[str]) -> dict[str, list[str]]:
    """Return the files of each split. Files with other names are ignored.

    Raises:
        TutelageError: If there is no training file.
    """
    by_split: dict[str, list[str]] = {}
    for name in names:
        split = split_of_word(re.split(r"[-._]", name.rpartition("/")[2])[0])
        if split is not None:
            by_split.setdefault(split, []).append(name)
    if "train" not in by_split:
        raise TutelageError(
            f"data={place} has parquet files but none named train-*.parquet (found {names[0].rpartition('/')[2]}); "
            f"rename them"
        )
    return by_split


@contextmanager
def _named(path: Path | str) -> Iterator[None]:
    """Convert errors inside the block to a ShardError that names the file."""
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        raise ShardError(f"{path} is not a readable parquet file ({error}); replace it") from None


def open_parquet(path: Path) -> pq.ParquetFile:
    """Open a parquet file, or raise ShardError if it is unreadable."""
    with _named(path):
        return pq.ParquetFile(path)


def columns_of(schema: pa.Schema, place: Path | str) -> tuple[str, str]:
    """Return the names of the columns of images and labels.

    Raises:
        TutelageError: If there is no such column, it appears twice, or the images are not encoded bytes.
    """
    image, label = _column(schema, IMAGE_COLUMNS, place), _column(schema, LABEL_COLUMNS, place)
    twice = next((name for name in (image, label) if schema.names.count(name) > 1), None)
    if twice is not None:
        raise TutelageError(f"data={place} has several columns '{twice}'; rename all but one")
    kind = schema.field(image).type
    content = kind.field("bytes").type if pa.types.is_struct(kind) and kind.get_field_index("bytes") >= 0 else kind
    if not (pa.types.is_binary(content) or pa.types.is_large_binary(content)):
        raise TutelageError(
            f"data={place}: column '{image}' holds {kind}, not encoded images; use binary, or a struct with "
            f"binary 'bytes'"
        )
    return image, label


def _column(schema: pa.Schema, names: tuple[str, ...], place: Path | str) -> str:
    found = next((name for name in names if name in schema.names), None)
    if found is None:
        raise TutelageError(
            f"data={place} has no column '{names[0]}' (its columns: {', '.join(schema.names) or 'none'}); "
            f"rename yours to {names[0]}"
        )
    return found


def labels_of(file: pq.ParquetFile, column: str, place: Path | str) -> Rows:
    """Return the labels of a file, −1 if null.

    Raises:
        TutelageError: If the column is missing or does not contain integers.
        ShardError: If the file is damaged.
    """
    if column not in file.schema_arrow.names:
        raise TutelageError(f"{place} has no column '{column}', which the training files have; add it")
    if not pa.types.is_integer(file.schema_arrow.field(column).type):
        raise TutelageError(
            f"{place}: column '{column}' holds {file.schema_arrow.field(column).type}, not class numbers; use int64"
        )
    with _named(place):
        return file.read(columns=[column])[column].cast(pa.int64()).fill_null(-1).to_numpy()


def classes_of(schema: pa.Schema, label: str, labels: Rows, place: Path | str) -> tuple[str, ...]:
    """Return the class names in the schema's ``huggingface`` metadata, or class numbers if there are no names.

    Raises:
        TutelageError: If the metadata are damaged, or there are no training rows or no classes.
    """
    try:
        names = _listed(json.loads((schema.metadata or {}).get(b"huggingface", b"{}")), label)
    except (ValueError, AttributeError, RecursionError) as error:
        raise TutelageError(
            f"data={place}: the metadata 'huggingface' with the class names are damaged ({error}); write the files "
            f"again, or without the metadata"
        ) from None
    if not len(labels):
        raise TutelageError(f"data={place} has no rows in its training files; add some")
    classes = tuple(names) or numbered(labels, place)
    if not classes:
        raise TutelageError(
            f"data={place} has no class names in its metadata and no labels in its training rows; add labels"
        )
    return classes


def _listed(metadata: Any, label: str) -> Sequence[str]:
    names = metadata.get("info", {}).get("features", {}).get(label, {}).get("names") or ()
    if not isinstance(names, (list, tuple)) or not all(isinstance(name, str) for name in names):
        raise ValueError("the class names are not a list of strings")
    return names
