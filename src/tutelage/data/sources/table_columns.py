"""Find the columns of images, labels and splits in a table."""

from __future__ import annotations

from pathlib import Path

from tutelage.data.settings import DataSettings
from tutelage.data.sources.csv_file import CsvFile
from tutelage.data.sources.image_finder import ImageFinder
from tutelage.data.sources.table_labels import classes_in_order, is_number
from tutelage.data.split_names import parse_split
from tutelage.errors import TutelageError

IMAGE_COLUMNS = (
    *("file_name", "filename", "file", "filepath", "filepaths", "file_path", "path", "image_path", "image_name"),
    *("image", "img", "image_id", "id", "name"),
)
LABEL_COLUMNS = ("label", "labels", "class", "class_name", "category", "target")
SPLIT_COLUMNS = ("split", "set", "subset", "partition", "fold", "data set", "dataset", "usage", "phase")
_YES_OR_NO = dict.fromkeys(("1", "1.0", "true", "t", "yes", "y"), True) | dict.fromkeys(
    ("0", "0.0", "false", "f", "no", "n"), False
)
_PROBED = 50
"""Number of rows that are compared with files to find the column of images."""


def columns_of(table: CsvFile, settings: DataSettings) -> tuple[str, str]:
    """Return the names of the columns of images and labels, from ``settings`` or from their content.

    Raises:
        TutelageError: If a column does not exist, or several columns or none are possible.
    """
    image = table.require("image_column", settings.image_column) if settings.image_column else _image_column(table)
    if settings.label_column:
        return image, table.require("label_column", settings.label_column)
    others = [name for name in table.columns if name != image and name.casefold() not in SPLIT_COLUMNS and name]
    named = [name for name in table.named(LABEL_COLUMNS) if name != image]
    if not named and len(others) == 1:
        named = others
    if not named or len({tuple(classes_in_order(table.column(name))) for name in named}) > 1:
        found = f"several columns may be the labels ({', '.join(named)})" if named else "no column is named label"
        raise TutelageError(
            f"{table.path}: {found}; set data.label_column to one of {', '.join(others) or 'its columns'}"
        )
    # Of equivalent columns, one with names is preferred to one with numbers.
    return image, next((name for name in named if not all(map(is_number, table.column(name)))), named[0])


def _image_column(table: CsvFile) -> str:
    """Return the column whose first cells are names of images, or the only column with a usual name."""
    images, own = ImageFinder(table.path.parent), split_of_file(table.path)
    strange = (
        name for name in table.columns if name.casefold() not in (*IMAGE_COLUMNS, *LABEL_COLUMNS, *SPLIT_COLUMNS)
    )
    if any(images.find(name) for name in strange):
        raise TutelageError(
            f"{table.path}: line 1 contains an image, not column names; add a line such as 'file_name,label'"
        )
    named = table.named(IMAGE_COLUMNS)
    found = []
    for name in filter(None, table.columns):
        cells = table.column(name)[:_PROBED]
        if sum(bool(images.find(cell, own)) for cell in cells) > len(cells) / 2:
            found.append(name)
    chosen = next((name for name in named if name in found), None) or (found[0] if len(found) == 1 else None)
    if chosen is None and len(named) == 1:  # its images are missing, which is reported later with the line
        chosen = named[0]
    if chosen is None:
        which = (
            f"several columns contain image names ({', '.join(found)})"
            if found
            else "no column contains names of existing images"
        )
        raise TutelageError(
            f"{table.path}: {which}; set data.image_column to one of {', '.join(table.columns)}. Images are looked for "
            f"in {table.path.parent}"
        )
    return chosen


def split_columns(table: CsvFile, taken: set[str]) -> tuple[list[str | None], list[str]]:
    """Return the split of each row according to columns of splits, and the names of these columns.

    Without such columns, all splits are None.

    Args:
        table: The table.
        taken: Columns of images and labels.

    Raises:
        TutelageError: If a column of splits contains other values.
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
                f"{table.path}, line {table.rows[wrong][0]}: '{cells[wrong]}' in the column '{name}' is not a split; "
                f"use train, validation or test, or remove the row"
            )
    return _flagged(table, columns)


def _flagged(table: CsvFile, columns: list[str]) -> tuple[list[str | None], list[str]]:
    """Return the splits according to yes-or-no columns such as ``is_valid`` or ``test``, and their names."""
    flags: dict[str, list[bool]] = {}
    used = []
    for name in columns:
        parsed = parse_split(name)
        if parsed is None or parsed[1] not in ((), ("is",)):
            continue
        cells = [_YES_OR_NO.get(cell.casefold()) for cell in table.column(name)]
        if None not in cells:
            flags[parsed[0]] = [bool(cell) for cell in cells]
            used.append(name)
        elif parsed[1]:
            wrong = cells.index(None)
            raise TutelageError(
                f"{table.path}, line {table.rows[wrong][0]}: '{table.column(name)[wrong]}' in the column '{name}' is "
                f"neither yes nor no; use 1 or 0"
            )
    if not flags:
        return [None] * len(table.rows), []
    other = "train" if "train" not in flags else "test"
    return [next((split for split, own in flags.items() if own[row]), other) for row in range(len(table.rows))], used


def describe_unused(table: CsvFile, used: set[str]) -> list[str]:
    """Return a message for each column that is named like a column of splits, but is not used."""
    columns = [name for name in table.columns if name.casefold() in SPLIT_COLUMNS and name not in used]
    values = {name: list(dict.fromkeys(table.column(name))) for name in columns}
    return [
        f"ignored the column '{name}' of {table.path.name}, whose values ({', '.join(found[:3])}"
        f"{', …' if len(found) > 3 else ''}) are not names of splits; if they are splits, write train, validation and "
        f"test"
        for name, found in values.items()
    ]


def _plain_split(cell: str) -> str | None:
    parsed = parse_split(cell)
    return parsed[0] if parsed is not None and not parsed[1] else None


def split_of_file(path: Path) -> str | None:
    parsed = parse_split(path.stem)
    return parsed[0] if parsed is not None else None
