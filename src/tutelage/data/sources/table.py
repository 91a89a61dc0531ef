"""Tables of labels: ``metadata.csv`` beside the images, or any CSV file with a column of images and one of labels."""

from __future__ import annotations

import csv
import io
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from tutelage.data.settings import DataSettings
from tutelage.data.source import Source, fingerprint_files, fingerprint_words
from tutelage.data.sources.duplicates import describe_duplicates
from tutelage.data.sources.image_folder import FileImages, Layout
from tutelage.data.split_names import parse_split
from tutelage.data.visible_files import TABLES, is_image, list_images
from tutelage.errors import TutelageError

IMAGE_COLUMNS = (
    *("file_name", "filename", "file", "filepath", "filepaths", "file_path", "path", "image_path", "image_name"),
    *("image", "img", "image_id", "id", "name"),
)
LABEL_COLUMNS = ("label", "labels", "class", "class_name", "category", "target")
SPLIT_COLUMNS = ("split", "set", "subset", "partition", "fold", "data set", "dataset", "usage", "phase")
METADATA = "metadata.csv"
UNLABELLED = ("", "-1", "nan", "<na>")
"""What tables have where an image has no label, in lower case; pandas may write the last two."""
_PERHAPS_UNLABELLED = ("na", "n/a", "none", "null")
_YES_OR_NO = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}
_PROBED = 50
"""Rows that tell which column names the images."""
_DELIMITERS = (",", ";", "\t", "|")


class Row(NamedTuple):
    """An image of a table."""

    line: int
    image: Path
    label: str
    split: str | None


@dataclass(frozen=True)
class Table:
    """A CSV file as read: the names of its columns, and its rows with their numbers of lines."""

    path: Path
    columns: list[str]
    rows: list[tuple[int, list[str]]]

    def column(self, name: str) -> list[str]:
        """Return the cells of a column, without spaces around them."""
        place = self.columns.index(name)
        return [cells[place].strip() for _, cells in self.rows]

    def named(self, names: Iterable[str]) -> list[str]:
        """Return the columns that are called so, whatever their case, in the order of ``names``."""
        return [column for name in names for column in self.columns if column.casefold() == name]

    def require(self, setting: str, name: str) -> str:
        """Return ``name``; raises :class:`TutelageError` if the table lacks it."""
        if name not in self.columns:
            raise TutelageError(f"data.{setting}={name}: {self.path} has the columns {', '.join(self.columns)}")
        return name


class Images:
    """Finds images by what tables call them: paths, names, and names without a suffix."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._by_name: dict[str, list[Path]] | None = None

    def find(self, name: str, split: str | None = None) -> list[Path]:
        """Return the images that ``name`` may stand for: none, one, or several below the table's folder.

        A name without its folder is not looked for among the images of other splits than ``split``, where images are
        often numbered from the start again; any split may take its images from the folder ``train``.
        """
        for text in dict.fromkeys((name, name.replace("\\", "/"))):
            path = self._root / text
            if text and os.path.isfile(path):  # false, not an error, for a cell of text that is too long for a path
                return [path]
        found = self._search(name.replace("\\", "/"))
        if split is None:
            return found
        folders = [_split_of_path(path, self._root) for path in found]
        own = [path for path, folder in zip(found, folders) if folder == split]
        return own or [path for path, folder in zip(found, folders) if folder in (None, "train")]

    def _search(self, name: str) -> list[Path]:
        if self._by_name is None:
            self._by_name = {}
            for path in list_images(self._root).images:
                for key in {_composed(path.name), _composed(path.stem)}:
                    self._by_name.setdefault(key, []).append(path)
        parts = Path(_composed(name)).parts
        if not parts or Path(name).is_absolute():
            return []
        below = [part for part in parts[:-1] if part != "."]
        candidates = self._by_name.get(parts[-1], [])
        return [path for path in candidates if not below or _folders(path)[-len(below) :] == below]


def _composed(name: str) -> str:
    """Spell each letter as one character: macOS writes an accent after its letter, most tables do not."""
    return unicodedata.normalize("NFC", name)


def _folders(path: Path) -> list[str]:
    return [_composed(part) for part in path.parts[:-1]]


def read_table(path: Path, settings: DataSettings) -> Source:
    """Read the images and labels of a CSV file, and of those beside it that are its other splits.

    ``train.csv`` has ``val.csv`` and ``test.csv`` beside it read too if they have the same columns. The split of an
    image is what a column says (``split``, ``is_valid``), else that of the file's name, else that of the folder it lies
    in, else ``train``. An empty label, NaN, or -1, is none. Raises :class:`TutelageError`, with the line, for images
    that are missing or ambiguous, and for anything that cannot be read as the table was meant.
    """
    table = parse_table(path)
    image, label = columns_of(table, settings)
    notes = [f"read the images of {path.name} from its column '{image}', the labels from '{label}'"]
    tables = [table]
    for other in _siblings(table):
        fits = {image, label} <= set(other.columns)
        notes.append(f"{'read' if fits else 'did not read'} {other.path.name} beside it")
        tables += [other] * fits
    rows: list[Row] = []
    for each in tables:
        rows += _rows(each, image, label, settings.skip_broken, notes)
    name = path.parent.resolve().name if parse_split(path.stem) or path.name == METADATA else path.stem
    notes += _unlisted(rows)
    return _source(name, path.parent, rows, [each.path for each in tables], notes)


def _unlisted(rows: list[Row]) -> list[str]:
    """Mention images that lie beside those of the rows, and are in none."""
    listed = {os.path.abspath(row.image) for row in rows}
    folders = {os.path.dirname(path) for path in listed}
    beside = (os.path.join(folder, name) for folder in folders for name in os.listdir(folder) if is_image(name))
    count = sum(path not in listed for path in beside)
    return [f"did not read {count:,} images that are in no row and lie beside those that are"] if count else []


def read_metadata(layout: Layout, settings: DataSettings) -> Source | None:
    """Read ``metadata.csv``, in Hugging Face's layout, from a data folder or each of its splits.

    None if the file is missing or has no column of labels.
    """
    root = layout.root
    found = {split: folder / METADATA for split, folder in layout.splits.items() if (folder / METADATA).is_file()}
    if "train" in found:
        found = {"train": found.pop("train"), **found}
    else:
        found = {"": root / METADATA} if (root / METADATA).is_file() else {}
    tables = {split: parse_table(path) for split, path in found.items()}
    first = next(iter(tables.values()), None)
    if first is None or not (settings.label_column or first.named(LABEL_COLUMNS)):
        return None
    image, label = columns_of(first, settings)
    notes = list(layout.notes)
    rows: list[Row] = []
    for split, table in tables.items():
        table.require("image_column", image), table.require("label_column", label)
        read = _rows(table, image, label, settings.skip_broken, notes)
        rows += [row._replace(split=split) if split else row for row in read]
    listed = {row.image for row in rows}
    unlisted = sum(path not in listed for path in list_images(root).images)
    if unlisted:
        notes.append(f"did not read {unlisted:,} images that no {METADATA} lists")
    return _source(root.resolve().name, root, rows, list(found.values()), notes)


def parse_table(path: Path) -> Table:
    """Read a CSV file with a line of column names, separated by commas, semicolons, tabs or bars.

    Raises :class:`TutelageError` if it is not text in UTF-8 (or UTF-16 with a mark), is empty, names two columns
    alike, or has a row of another length.
    """
    data = path.read_bytes()
    try:
        text = data.decode("utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise TutelageError(f"{path} is not text in UTF-8 (byte {error.start:,}): save it as 'CSV UTF-8'") from None
    header = next(iter(text.splitlines()), "")
    delimiter = max(_DELIMITERS, key=lambda mark: len(next(csv.reader([header], delimiter=mark), [])))
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True, strict=True)
    try:
        lines = [(reader.line_num, cells) for cells in reader if any(cell.strip() for cell in cells)]
    except csv.Error as error:
        raise TutelageError(f"{path}, line {reader.line_num}: not readable as CSV ({error})") from None
    if len(lines) < 2:
        raise TutelageError(f"{path} has no rows: it needs a line of column names and one row per image")
    columns = [name.strip() for name in lines[0][1]]
    twice = [name for name, count in Counter(columns).items() if count > 1 and name]
    if twice:
        raise TutelageError(f"{path} has more than one column '{twice[0]}': rename the others")
    for line, cells in lines[1:]:
        if len(cells) != len(columns):
            raise TutelageError(
                f"{path}, line {line}: {len(cells)} values for {len(columns)} columns ({', '.join(columns)}); put "
                f"values that contain '{delimiter}' in quotes"
            )
    return Table(path, columns, lines[1:])


def columns_of(table: Table, settings: DataSettings) -> tuple[str, str]:
    """Return the columns of images and of labels: those that ``settings`` name, or the only ones that can be meant."""
    image = table.require("image_column", settings.image_column) if settings.image_column else _image_column(table)
    if settings.label_column:
        return image, table.require("label_column", settings.label_column)
    others = [name for name in table.columns if name != image and name.casefold() not in SPLIT_COLUMNS and name]
    named = [name for name in table.named(LABEL_COLUMNS) if name != image]
    if not named and len(others) == 1:
        named = others
    if not named or len({tuple(_numbered(table.column(name))) for name in named}) > 1:
        found = f"several columns may be the labels ({', '.join(named)})" if named else "no column is called label"
        raise TutelageError(
            f"{table.path}: {found}; set data.label_column to one of {', '.join(others) or 'its columns'}"
        )
    # Of columns that say the same, a name says more than a number.
    return image, next((name for name in named if not all(map(_is_number, table.column(name)))), named[0])


def _image_column(table: Table) -> str:
    """The column whose cells are images: all of the first rows, or those of a column that is called so."""
    images, own = Images(table.path.parent), _split_of_file(table.path)
    strange = (
        name for name in table.columns if name.casefold() not in (*IMAGE_COLUMNS, *LABEL_COLUMNS, *SPLIT_COLUMNS)
    )
    if any(images.find(name) for name in strange):
        raise TutelageError(f"{table.path}: line 1 names an image, not columns: add a line such as 'file_name,label'")
    named = table.named(IMAGE_COLUMNS)
    found = []
    for name in filter(None, table.columns):
        cells = table.column(name)[:_PROBED]
        if sum(bool(images.find(cell, own)) for cell in cells) > len(cells) / 2:
            found.append(name)
    chosen = next((name for name in named if name in found), None) or (found[0] if len(found) == 1 else None)
    if chosen is None and len(named) == 1:  # whose images are missing, which is reported with the line
        chosen = named[0]
    if chosen is None:
        which = (
            f"several columns name images ({', '.join(found)})" if found else "no column names images that are there"
        )
        raise TutelageError(
            f"{table.path}: {which}; set data.image_column to one of {', '.join(table.columns)}. Images are looked for "
            f"in {table.path.parent}"
        )
    return chosen


def _siblings(table: Table) -> list[Table]:
    """The tables beside ``train.csv`` that are its other splits."""
    own = parse_split(table.path.stem)
    if own is None or own[0] != "train":
        return []
    found: dict[str, Table] = {}
    for path in sorted(table.path.parent.iterdir()):
        other = parse_split(path.stem) if path.suffix.lower() in TABLES and path.is_file() else None
        if other is not None and other[0] != "train" and other[1] == own[1]:
            if other[0] in found:
                raise TutelageError(
                    f"{path.parent} has two tables of {other[0]}: {found[other[0]].path.name}, {path.name}"
                )
            found[other[0]] = parse_table(path)
    return list(found.values())


def _rows(table: Table, image: str, label: str, skip_missing: bool, notes: list[str]) -> list[Row]:
    """Find the images of a table's rows; each is listed once, with one label."""
    own = _split_of_file(table.path)
    images = Images(table.path.parent)
    splits, columns = _split_columns(table, {image, label})
    if columns:
        notes.append(f"read the splits of {table.path.name} from {' and '.join(repr(name) for name in columns)}")
    rows: dict[str, Row] = {}
    missing: list[str] = []
    repeated = 0
    labels = [_label(text) for text in _whole(table.column(label))]
    for (line, _), name, text, said in zip(table.rows, table.column(image), labels, splits):
        found = images.find(name, said or own)
        if len(found) > 1:
            raise TutelageError(
                f"{table.path}, line {line}: '{name}' may be {found[0]} or {found[1]}: write the folder with the name"
            )
        if not found:
            missing.append(f"{table.path}, line {line}: there is no image '{name}' in {table.path.parent}")
            continue
        split = said or own or _split_of_path(found[0], table.path.parent)
        row = Row(line, found[0], text, split)
        before = rows.setdefault(os.path.abspath(found[0]), row)
        if (before.label, before.split) != (row.label, row.split):
            what = "labels" if before.label != row.label else "splits"
            raise TutelageError(
                f"{table.path}, lines {before.line} and {line}: '{name}' has two {what} ({before.label or 'none'}, "
                f"{before.split}; {row.label or 'none'}, {row.split}): remove one of the lines"
            )
        repeated += before is not row
    if missing and not skip_missing:
        more = f" ({len(missing)} of {len(table.rows)} are missing)" if len(missing) > 1 else ""
        raise TutelageError(f"{missing[0]}{more}: add it, remove the row, or set data.skip_broken=true to leave it out")
    if missing:
        notes.append(f"left out {len(missing)} rows without an image; the first: {missing[0]}")
    if repeated:
        notes.append(f"left out {repeated} rows of {table.path.name} that repeat another")
    return list(rows.values())


def _source(name: str, root: Path, rows: Sequence[Row], tables: list[Path], notes: list[str]) -> Source:
    # A table of one split, or of images that all lie in a folder of its name, is all there is to train on.
    one = len({row.split for row in rows}) == 1
    splits: dict[str, list[Row]] = {}
    for row in rows:
        splits.setdefault("train" if one or row.split is None else row.split, []).append(row)
    if "train" not in splits:
        raise TutelageError(f"{tables[0]} has rows of {' and '.join(splits)} but none of train")
    _check_once(splits)
    classes = _classes(splits["train"], tables[0])
    numbers = {label: number for number, label in enumerate(classes)} | {"": -1}
    stranger = next((row for own in splits.values() for row in own if row.label not in numbers), None)
    if stranger is not None:
        raise TutelageError(
            f"{tables[0].parent}: {stranger.image.name} has the label '{stranger.label}', which no training image has: "
            f"rename or remove it"
        )
    doubtful = [f"'{name}'" for name in classes if name.casefold() in _PERHAPS_UNLABELLED]
    if doubtful:
        notes.append(f"{' and '.join(doubtful)} is read as a class: leave the label empty for images that have none")
    notes += describe_duplicates({split: [row.image for row in own] for split, own in splits.items()})
    without = sum(not row.label for own in splits.values() for row in own)
    if without:
        notes.append(f"{without:,} of {len(rows):,} images have no label")
    return Source(
        name=name,
        classes=classes,
        splits={
            split: FileImages([row.image for row in own], [numbers[row.label] for row in own])
            for split, own in splits.items()
        },
        fingerprint=fingerprint_words(
            fingerprint_files(root, [*tables, *(row.image for row in rows)]),
            *((row.image.name, row.label, row.split) for row in rows),
        ),
        notes=tuple(notes),
    )


def _check_once(splits: dict[str, list[Row]]) -> None:
    seen: dict[str, str] = {}
    for split, rows in splits.items():
        for row in rows:
            other = seen.setdefault(os.path.abspath(row.image), split)
            if other != split:
                raise TutelageError(f"{row.image} is in {other} and in {split}: remove it from one of them")


def _classes(rows: Sequence[Row], path: Path) -> tuple[str, ...]:
    labels = {row.label for row in rows} - {""}
    if len(labels) > 2 and len(labels) == len(rows):
        raise TutelageError(
            f"{path}: every image has a label of its own; set data.label_column to the column of classes"
        )
    seen: dict[str, str] = {}
    for label in sorted(labels):
        other = seen.setdefault(_alike(label), label)
        if other != label:
            raise TutelageError(
                f"{path}: the labels '{other}' and '{label}' differ in case, spaces or zeros alone: write one"
            )
    numeric = all(label.isdecimal() for label in labels)
    return tuple(sorted(labels, key=lambda label: (int(label), label) if numeric else (0, label)))


def _alike(label: str) -> str:
    """What is equal for labels that mean the same: ``Cat`` and ``cat``, ``7`` and ``007``."""
    return str(int(label)) if label.isdecimal() else " ".join(label.casefold().split())


def _whole(labels: list[str]) -> list[str]:
    """Labels as pandas writes whole numbers beside missing ones, ``3.0``, without their decimals."""
    filled = [label for label in labels if _label(label)]
    if filled and all(_is_number(label) and float(label).is_integer() for label in filled):
        return [re.sub(r"\.0*$", "", label) for label in labels]
    return labels


def _label(text: str) -> str:
    return "" if text.casefold() in UNLABELLED else text


def _is_number(text: str) -> bool:
    try:
        return float(text) == float(text)
    except ValueError:
        return not text


def _numbered(labels: Sequence[str]) -> list[int]:
    """The labels by the order in which they first occur: equal for two columns that make the same classes."""
    numbers: dict[str, int] = {}
    return [numbers.setdefault(label, len(numbers)) for label in labels]


def _split_columns(table: Table, taken: set[str]) -> tuple[list[str | None], list[str]]:
    """Return the split of each row as columns say it, and these columns; None for each row if there are none.

    Raises :class:`TutelageError` if a column names a split in some rows, and in others something else.
    """
    columns = [name for name in table.columns if name and name not in taken]
    for name in columns:
        cells = table.column(name)
        splits = [_plain_split(cell) for cell in cells]
        named = {split for split in splits if split is not None}
        if named and None not in splits and (name.casefold() in SPLIT_COLUMNS or len(named) > 1):
            return splits, [name]
        if named and name.casefold() in SPLIT_COLUMNS:
            wrong = splits.index(None)
            raise TutelageError(
                f"{table.path}, line {table.rows[wrong][0]}: '{cells[wrong]}' in the column '{name}' is not a split: "
                f"write train, validation or test, or remove the row"
            )
    return _flagged(table, columns)


def _flagged(table: Table, columns: list[str]) -> tuple[list[str | None], list[str]]:
    """Return the splits by columns such as ``is_valid``, whose cells are yes or no, and these columns."""
    flags: dict[str, list[bool]] = {}
    used = []
    for name in columns:
        parsed = parse_split(name)
        cells = [_YES_OR_NO.get(cell.casefold()) for cell in table.column(name)]
        if parsed is not None and parsed[1] == ("is",) and None not in cells:
            flags[parsed[0]] = [bool(cell) for cell in cells]
            used.append(name)
    if not flags:
        return [None] * len(table.rows), []
    other = "train" if "train" not in flags else "test"
    return [next((split for split, own in flags.items() if own[row]), other) for row in range(len(table.rows))], used


def _plain_split(cell: str) -> str | None:
    parsed = parse_split(cell)
    return parsed[0] if parsed is not None and not parsed[1] else None


def _split_of_file(path: Path) -> str | None:
    parsed = parse_split(path.stem)
    return parsed[0] if parsed is not None else None


def _split_of_path(path: Path, root: Path) -> str | None:
    """The split that a folder between ``root`` and the image is called."""
    below = path.relative_to(root).parts[:-1] if path.is_relative_to(root) else ()
    return next((parsed[0] for part in below if (parsed := parse_split(part)) is not None), None)
