"""Read CSV files as text."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tutelage.errors import TutelageError

_DELIMITERS = (",", ";", "\t", "|")


@dataclass(frozen=True)
class CsvFile:
    """Content of a CSV file: the names of its columns, and its rows with their line numbers."""

    path: Path
    columns: list[str]
    rows: list[tuple[int, list[str]]]

    def column(self, name: str) -> list[str]:
        """Return the cells of a column without surrounding spaces."""
        place = self.columns.index(name)
        return [cells[place].strip() for _, cells in self.rows]

    def named(self, names: Iterable[str]) -> list[str]:
        """Return the columns with these names in any case, in the order of ``names``."""
        return [column for name in names for column in self.columns if column.casefold() == name]

    def require(self, setting: str, name: str) -> str:
        """Return ``name``, or raise TutelageError if there is no such column."""
        if name not in self.columns:
            raise TutelageError(
                f"data.{setting}={name}: {self.path} has no such column; it has {', '.join(self.columns)}"
            )
        return name


def read_csv(path: Path) -> CsvFile:
    """Read a CSV file with a header, separated by commas, semicolons, tabs or vertical bars.

    Raises:
        TutelageError: If the file is not UTF-8 (or UTF-16 with a byte order mark), has no rows, has two columns with
            one name, or has a row of another length.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise TutelageError(f"{path} cannot be read ({error.strerror}); check its permissions") from None
    try:
        text = data.decode("utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise TutelageError(f"{path} is not UTF-8 text (byte {error.start:,}); save it as 'CSV UTF-8'") from None
    header = next(iter(text.splitlines()), "")
    delimiter = max(_DELIMITERS, key=lambda mark: len(next(csv.reader([header], delimiter=mark), [])))
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True, strict=True)
    try:
        lines = [(reader.line_num, cells) for cells in reader if any(cell.strip() for cell in cells)]
    except csv.Error as error:
        raise TutelageError(f"{path}, line {reader.line_num}: not readable as CSV ({error}); fix the line") from None
    if len(lines) < 2:
        raise TutelageError(f"{path} has no rows; write a line of column names and one row per image")
    columns = [name.strip() for name in lines[0][1]]
    twice = [name for name, count in Counter(columns).items() if count > 1 and name]
    if twice:
        raise TutelageError(f"{path} has several columns '{twice[0]}'; rename all but one")
    for line, cells in lines[1:]:
        if len(cells) != len(columns):
            raise TutelageError(
                f"{path}, line {line}: {len(cells)} values for {len(columns)} columns ({', '.join(columns)}); put "
                f"values that contain '{delimiter}' in quotes"
            )
    return CsvFile(path, columns, lines[1:])
