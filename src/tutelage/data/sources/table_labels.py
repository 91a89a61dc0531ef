"""Read the labels of a table, and infer the classes."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path

from tutelage.errors import TutelageError

UNLABELED = ("", "-1", "nan", "<na>")
"""Cells of unlabeled images, in lower case. pandas writes the last two."""


def classes_of(cells: Sequence[str], path: Path) -> tuple[str, ...]:
    """Return the classes in the labels of the training images, sorted by name, or by value if all are numbers.

    Raises:
        TutelageError: If every image has its own label, or two labels only differ in their spelling.
    """
    labels = set(cells) - {""}
    if len(labels) > 2 and len(labels) == len(cells):
        raise TutelageError(f"{path}: every image has its own label; set data.label_column to the column of classes")
    seen: dict[str, str] = {}
    for label in sorted(labels):
        other = seen.setdefault(_alike(label), label)
        if other != label:
            raise TutelageError(
                f"{path}: the labels '{other}' and '{label}' differ only in case, spaces or zeros; use one spelling"
            )
    numeric = all(label.isdecimal() for label in labels)
    return tuple(sorted(labels, key=lambda label: (int(label), label) if numeric else (0, label)))


def _alike(label: str) -> str:
    """Return a normal form in which spellings of one label are equal: ``Cat`` and ``cat``, ``7`` and ``007``.

    Invisible characters, such as zero-width spaces, do not count.
    """
    seen = "".join(mark for mark in label if unicodedata.category(mark) != "Cf")
    return str(int(seen)) if seen.isdecimal() else " ".join(seen.casefold().split())


def labels_of(cells: Sequence[str]) -> list[str]:
    """Return the label in each cell, or an empty string if there is none.

    Whole numbers are returned without decimals, which pandas adds in columns with missing values (``3.0``).
    """
    filled = [cell for cell in cells if cell.casefold() not in UNLABELED]
    if filled and all(is_number(cell) and float(cell).is_integer() for cell in filled):
        cells = [re.sub(r"\.0*$", "", cell) for cell in cells]
    return ["" if cell.casefold() in UNLABELED else cell for cell in cells]


def is_number(text: str) -> bool:
    """Return whether a cell is a number or empty."""
    try:
        return float(text) == float(text)
    except ValueError:
        return not text


def classes_in_order(labels: Sequence[str]) -> list[int]:
    """Return labels numbered by first occurrence, which are equal for two columns with the same classes."""
    numbers: dict[str, int] = {}
    return [numbers.setdefault(label, len(numbers)) for label in labels]
