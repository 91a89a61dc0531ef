"""Parquet folders in Hugging Face's layout: an ``image`` column with encoded bytes, a ``label`` column, class names in the schema."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tutelage.data.folder import SPLITS, fingerprint
from tutelage.data.source import Encoded, Source
from tutelage.errors import TutelageError

IMAGE_COLUMNS, LABEL_COLUMNS = ("image", "img"), ("label", "fine_label", "labels")


def read_parquet(root: Path) -> Source:
    """Reads the files ``train-*.parquet``, ``validation-*`` and ``test-*`` of a folder.

    Raises :class:`TutelageError` where there is no training file, a column is missing, or a label is out of range.
    """
    files = sorted(root.rglob("*.parquet"))
    by_split: dict[str, list[Path]] = {}
    for path in files:
        split = SPLITS.get(path.name.split("-")[0].split(".")[0])
        if split is not None:
            by_split.setdefault(split, []).append(path)
    if "train" not in by_split:
        raise TutelageError(f"data={root} has parquet files but none named train-*.parquet (found {files[0].name})")
    tables = {split: _table(paths) for split, paths in by_split.items()}
    label = _column(tables["train"], LABEL_COLUMNS, root)
    classes = class_names(tables["train"], label)
    splits = {split: encoded(table, classes, f"{root} ({split})") for split, table in tables.items()}
    return Source(root.resolve().name, classes, dict(splits), fingerprint(files))


def _table(paths: list[Path]) -> pa.Table:
    try:
        return pa.concat_tables([pq.read_table(path, memory_map=True) for path in paths])
    except (pa.ArrowInvalid, OSError) as error:
        raise TutelageError(f"{paths[0].parent} holds a parquet file that cannot be read: {error}") from None


def _column(table: pa.Table, names: tuple[str, ...], place: object) -> str:
    found = next((name for name in names if name in table.column_names), None)
    if found is None:
        raise TutelageError(
            f"{place} has no column '{names[0]}': its columns are {', '.join(table.column_names)}; rename yours to {names[0]}"
        )
    return found


def class_names(table: pa.Table, label: str) -> tuple[str, ...]:
    """Returns the class names in the schema's ``huggingface`` metadata; the numbers as words where there are none."""
    metadata = (table.schema.metadata or {}).get(b"huggingface")
    feature = json.loads(metadata)["info"]["features"].get(label, {}) if metadata else {}
    if "names" in feature:
        return tuple(feature["names"])
    return tuple(str(number) for number in range(int(np.max(table[label].to_numpy())) + 1))


def encoded(table: pa.Table, classes: tuple[str, ...], place: str) -> Encoded:
    """Returns the rows of a table with an image and a label column."""
    images = table[_column(table, IMAGE_COLUMNS, place)]
    labels = table[_column(table, LABEL_COLUMNS, place)].to_numpy().astype(np.int64)
    wrong = np.flatnonzero((labels < -1) | (labels >= len(classes)))
    if len(wrong):
        raise TutelageError(f"{place}, row {wrong[0]}: label {labels[wrong[0]]} is not one of the {len(classes)} classes")
    return Encoded(_reader(images, place), labels)


def _reader(images: Any, place: str) -> Callable[[int], tuple[bytes, str]]:
    def read(row: int) -> tuple[bytes, str]:
        cell = images[row].as_py()
        return (cell["bytes"] if isinstance(cell, dict) else cell) or b"", f"{place}, row {row}"

    return read
