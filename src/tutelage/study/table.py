"""Write rows as a table for the terminal, Markdown and CSV; the best row and those not different from it are bold."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from typing import Literal

from rich.table import Table
from rich.text import Text

from tutelage.models import shown_count
from tutelage.study.statistics import LEVEL, AgainstAlone, Row, against_alone, best_among

NOTE = (
    f"Sorted by mean. Bold: the best row, and the rows that the seeds do not tell apart from it at {LEVEL:.0%}. "
    f"Against alone: difference to the student without a teacher, in points, with the 95 % confidence interval of this "
    f"one difference. p: of Welch's t-test, adjusted by Holm's method for all comparisons with the same student alone; "
    f"'not significant' if p is {LEVEL} or more, 'not testable' if the accuracy is the same for all seeds of both."
)


def columns(rows: Sequence[Row]) -> tuple[list[str], list[list[str]]]:
    """Return headers and cells, best rows first, without empty columns; ``**`` marks bold cells."""
    ranked = sorted(rows, key=lambda row: -row.mean)
    best = best_among(ranked)
    cells = [
        [_bold(write(row, against), row in best and name in _IN_BOLD) for name, write in _COLUMNS]
        for row, against in zip(ranked, against_alone(ranked))
    ]
    kept = [place for place in range(len(_COLUMNS)) if any(line[place] for line in cells)]
    return [_COLUMNS[place][0] for place in kept], [[line[place] for place in kept] for line in cells]


def terminal(rows: Sequence[Row], width: int) -> Table:
    """Return the table for ``width`` characters; the least important columns are omitted if they do not fit."""
    headers, cells = columns(rows)
    widths = [max(len(text.strip("*")) for text in column) for column in zip(headers, *cells)]
    least = ["network"] * (len({row.student for row in rows}) == 1) + [name for name in _LEAST if name in headers]
    kept = list(range(len(headers)))
    for name in least:
        if sum(widths[n] + 2 for n in kept) - 2 > width:
            kept.remove(headers.index(name))
    table = Table(box=None, header_style="bold", pad_edge=False)
    for n in kept:
        side: Literal["left", "right"] = "left" if headers[n] in _LEFT else "right"
        table.add_column(headers[n], justify=side, no_wrap=headers[n] not in _LONG)
    for line in cells:
        table.add_row(*(Text(line[n].strip("*"), "bold" if line[n].startswith("**") else "") for n in kept))
    return table


def markdown(rows: Sequence[Row]) -> str:
    """Return the table in Markdown, with the note on how to read it."""
    headers, cells = columns(rows)
    ruler = ["---" if header in _LEFT else "---:" for header in headers]
    escaped = [[cell.replace("|", "\\|") for cell in line] for line in [headers, ruler, *cells]]
    return "\n".join(f"| {' | '.join(line)} |" for line in escaped) + f"\n\n{NOTE}\n"


def comma_separated(rows: Sequence[Row]) -> str:
    """Return the table as CSV."""
    headers, cells = columns(rows)
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerows([headers, *([cell.strip("*") for cell in line] for line in cells)])
    return file.getvalue()


def _bold(text: str, wanted: bool) -> str:
    return f"**{text}**" if wanted and text else text


def _difference(row: Row, against: AgainstAlone | None) -> str:
    if against is None:
        return ""
    found = against.difference
    if found is None:
        return f"{row.mean - against.alone.mean:+.2f}"
    return f"{found.points:+.2f} [{found.low:+.2f}, {found.high:+.2f}]"


def _chance(row: Row, against: AgainstAlone | None) -> str:
    if against is None or min(len(row.top1), len(against.alone.top1)) < 2:
        return ""
    found = against.difference
    if found is None:
        return "not testable"
    return ("<0.001" if found.p < 0.001 else f"{found.p:.3f}") if found.shown else f"{found.p:.2f}, not significant"


def _gap(row: Row, against: AgainstAlone | None) -> str:
    closed = row.gap_closed(against.alone) if against is not None else None
    return "" if closed is None else f"{closed:.0f}"


_COLUMNS: list[tuple[str, Callable[[Row, AgainstAlone | None], str]]] = [
    ("network", lambda row, _: row.student),
    ("method", lambda row, _: row.method),
    ("teacher", lambda row, _: row.teacher),
    ("setting", lambda row, _: row.setting),
    ("seeds", lambda row, _: str(len(row.top1))),
    ("top-1 %", lambda row, _: row.figure),
    ("against alone", _difference),
    ("p", _chance),
    ("gap closed %", _gap),
    ("on", lambda row, _: row.split),
    ("seconds per run", lambda row, _: f"{row.seconds:.0f}"),
    ("images/s", lambda row, _: f"{row.images_per_second:.0f}" if row.images_per_second else ""),
    ("parameters", lambda row, _: shown_count(row.parameters)),
    ("MACs", lambda row, _: shown_count(row.macs) if row.macs else ""),
    ("ms per image", lambda row, _: f"{row.latency:.2f}" if row.latency else ""),
]
_LEFT = ("network", "method", "teacher", "setting", "on")
_IN_BOLD = ("method", "top-1 %")
_LONG = ("network", "teacher", "setting")
_LEAST = ("ms per image", "MACs", "images/s", "parameters", "on", "seconds per run", "gap closed %", "seeds", "p")
"""Columns to omit on a narrow screen, in this order."""
