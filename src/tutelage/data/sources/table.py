"""Tables of labels: ``metadata.csv`` next to the images, or any CSV file with columns of images and labels."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from tutelage.data.settings import DataSettings
from tutelage.data.source import Source, fingerprint_words
from tutelage.data.sources.csv_file import CsvFile, read_csv
from tutelage.data.sources.image_files import read_splits
from tutelage.data.sources.image_finder import ImageFinder, split_of_path
from tutelage.data.sources.image_folder import SplitFolders
from tutelage.data.sources.table_columns import LABEL_COLUMNS, columns_of, describe_unused, split_columns, split_of_file
from tutelage.data.sources.table_labels import classes_of, labels_of
from tutelage.data.split_names import parse_split
from tutelage.data.visible_files import TABLES, is_image, list_images
from tutelage.errors import TutelageError

METADATA = "metadata.csv"
_PERHAPS_UNLABELED = ("na", "n/a", "none", "null")


class ListedImage(NamedTuple):
    """Image in a row of a table."""

    line: int
    image: Path
    label: str
    split: str | None


def read_table(path: Path, settings: DataSettings) -> Source:
    """Read the images and labels in a CSV file and in the files of its other splits.

    * For ``train.csv``, ``val.csv`` and ``test.csv`` in the same folder are read too if they have the same columns.
    * The split of an image comes from a column (``split``, ``is_valid``), the name of the file, or the folder of the
      image, in this order. The default is ``train``.
    * An empty label, NaN or -1 means that the image is unlabeled.

    Args:
        path: The CSV file.
        settings: Names of the columns, and whether to skip missing images.

    Raises:
        TutelageError: If images are missing or ambiguous, or the table is inconsistent. The message names the line.
    """
    table = read_csv(path)
    image, label = columns_of(table, settings)
    notes = [f"read the images of {path.name} from its column '{image}' and the labels from '{label}'"]
    tables = [table]
    for other in _siblings(table):
        fits = {image, label} <= set(other.columns)
        notes.append(f"{'read' if fits else 'ignored'} {other.path.name} next to it")
        tables += [other] * fits
    rows: list[ListedImage] = []
    for each in tables:
        rows += _rows(each, image, label, settings.skip_broken, notes)
    name = path.parent.resolve().name if parse_split(path.stem) or path.name == METADATA else path.stem
    notes += _unlisted(rows)
    return _source(name, path.parent, rows, [each.path for each in tables], notes)


def _unlisted(rows: list[ListedImage]) -> list[str]:
    """Return a warning about images in the same folders that are not listed, if any."""
    listed = {os.path.abspath(row.image) for row in rows}
    folders = {os.path.dirname(path) for path in listed}
    beside = (os.path.join(folder, name) for folder in folders for name in os.listdir(folder) if is_image(name))
    count = sum(path not in listed for path in beside)
    return [f"ignored {count:,} images that are in the same folders but not in the table"] if count else []


def read_metadata(layout: SplitFolders, settings: DataSettings) -> Source | None:
    """Read ``metadata.csv``, in Hugging Face's layout, in a data folder or in each of its splits.

    Returns:
        The data set, or None if the file is missing or has no column of labels.

    Raises:
        TutelageError: As in ``read_table``.
    """
    root = layout.root
    found = {split: folder / METADATA for split, folder in layout.splits.items() if (folder / METADATA).is_file()}
    if "train" in found:
        found = {"train": found.pop("train"), **found}
    else:
        found = {"": root / METADATA} if (root / METADATA).is_file() else {}
    tables = {split: read_csv(path) for split, path in found.items()}
    first = next(iter(tables.values()), None)
    if first is None or not (settings.label_column or first.named(LABEL_COLUMNS)):
        return None
    image, label = columns_of(first, settings)
    notes = list(layout.notes)
    rows: list[ListedImage] = []
    for split, table in tables.items():
        table.require("image_column", image), table.require("label_column", label)
        read = _rows(table, image, label, settings.skip_broken, notes)
        rows += [row._replace(split=split) if split else row for row in read]
    listed = {row.image for row in rows}
    unlisted = sum(path not in listed for path in list_images(root).images)
    if unlisted:
        notes.append(f"ignored {unlisted:,} images that no {METADATA} lists")
    return _source(root.resolve().name, root, rows, list(found.values()), notes)


def _siblings(table: CsvFile) -> list[CsvFile]:
    """Return the tables of the other splits in the same folder, if ``table`` is that of the training set."""
    own = parse_split(table.path.stem)
    if own is None or own[0] != "train":
        return []
    found: dict[str, CsvFile] = {}
    for path in sorted(table.path.parent.iterdir()):
        other = parse_split(path.stem) if path.suffix.lower() in TABLES and path.is_file() else None
        if other is not None and other[0] != "train" and other[1] == own[1]:
            if other[0] in found:
                raise TutelageError(
                    f"{path.parent} has two tables of {other[0]}, {found[other[0]].path.name} and {path.name}; keep one"
                )
            found[other[0]] = read_csv(path)
    return list(found.values())


def _rows(table: CsvFile, image: str, label: str, skip_missing: bool, notes: list[str]) -> list[ListedImage]:
    """Return the images of a table's rows without repetitions, and add warnings to ``notes``."""
    own = split_of_file(table.path)
    images = ImageFinder(table.path.parent)
    splits, columns = split_columns(table, {image, label})
    if columns:
        notes.append(f"read the splits of {table.path.name} from {' and '.join(repr(name) for name in columns)}")
    notes += describe_unused(table, {image, label, *columns})
    rows: dict[str, ListedImage] = {}
    missing: list[str] = []
    repeated = 0
    labels = labels_of(table.column(label))
    for (line, _), name, text, said in zip(table.rows, table.column(image), labels, splits):
        found = images.find(name, said or own)
        if len(found) > 1:
            raise TutelageError(
                f"{table.path}, line {line}: '{name}' may be {found[0]} or {found[1]}; add the folder to the name"
            )
        if not found:
            missing.append(f"{table.path}, line {line}: there is no image '{name}' in {table.path.parent}")
            continue
        split = said or own or split_of_path(found[0], table.path.parent)
        row = ListedImage(line, found[0], text, split)
        before = rows.setdefault(os.path.abspath(found[0]), row)
        if (before.label, before.split) != (row.label, row.split):
            what = "labels" if before.label != row.label else "splits"
            raise TutelageError(
                f"{table.path}, lines {before.line} and {line}: '{name}' has two {what} ({before.label or 'none'}, "
                f"{before.split}; {row.label or 'none'}, {row.split}); remove one of the lines"
            )
        repeated += before is not row
    if missing and not skip_missing:
        more = f" ({len(missing)} of {len(table.rows)} are missing)" if len(missing) > 1 else ""
        raise TutelageError(f"{missing[0]}{more}; add it, remove the row, or set data.skip_broken=true to skip it")
    if missing:
        notes.append(f"skipped {len(missing)} rows without an image; the first: {missing[0]}")
    if repeated:
        notes.append(f"skipped {repeated} duplicate rows of {table.path.name}")
    return list(rows.values())


def _source(name: str, root: Path, rows: Sequence[ListedImage], tables: list[Path], notes: list[str]) -> Source:
    # If all rows belong to one split, they are the training set, whatever its name.
    one = len({row.split for row in rows}) == 1
    splits: dict[str, list[ListedImage]] = {}
    for row in rows:
        splits.setdefault("train" if one or row.split is None else row.split, []).append(row)
    if "train" not in splits:
        raise TutelageError(f"{tables[0]} has rows of {' and '.join(splits)} but none of train; add training images")
    _check_once(splits)
    classes = classes_of([row.label for row in splits["train"]], tables[0])
    numbers = {label: number for number, label in enumerate(classes)} | {"": -1}
    stranger = next((row for own in splits.values() for row in own if row.label not in numbers), None)
    if stranger is not None:
        raise TutelageError(
            f"{tables[0].parent}: {stranger.image.name} has the label '{stranger.label}', which no training image has; "
            f"rename or remove it"
        )
    doubtful = [f"'{name}'" for name in classes if name.casefold() in _PERHAPS_UNLABELED]
    if doubtful:
        notes.append(f"{' and '.join(doubtful)} is read as a class; to mark unlabelled images, use empty labels")
    without = sum(not row.label for own in splits.values() for row in own)
    if without:
        notes.append(f"{without:,} of {len(rows):,} images have no label (empty, nan or -1)")
    files = {split: [(row.image, numbers[row.label]) for row in own] for split, own in splits.items()}
    images, fingerprint = read_splits(root, files, tables)
    listed = ((row.image.name, row.label, row.split) for row in rows)
    return Source(name, classes, dict(images), fingerprint_words(fingerprint, *listed), notes=tuple(notes))


def _check_once(splits: dict[str, list[ListedImage]]) -> None:
    seen: dict[str, str] = {}
    for split, rows in splits.items():
        for row in rows:
            other = seen.setdefault(os.path.abspath(row.image), split)
            if other != split:
                raise TutelageError(f"{row.image} is in {other} and in {split}; remove it from one of them")
