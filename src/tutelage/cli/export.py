"""``tutelage export``."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text

from tutelage.cli.command import Outcome, describe_images
from tutelage.config import as_mapping
from tutelage.console import build_console
from tutelage.export import Record, export_student


def export(settings: list[str], model: str) -> Outcome:
    try:
        record = export_student(model, **as_mapping(*settings))
    except (KeyboardInterrupt, SystemExit):
        build_console().print("stopped; nothing was exported and no partial files are left")
        raise
    note = (
        f"top-1 on {describe_images(record.images, record.split)}; differences from PyTorch's logits; ms for one "
        f"image, on {record.machine}"
    )
    return Outcome(record, [_table(record), note])


def _table(record: Record) -> Table:
    """Return a table of the exported files, with PyTorch in the first row."""
    shown = Table(box=None, header_style="bold", pad_edge=False)
    for header in ("file", "MB", "top-1", "same class", "largest difference", "ms"):
        shown.add_column(header, justify="left" if header == "file" else "right")
    shown.add_row("PyTorch", "", _percent(record.pytorch_top1), "", "", f"{record.pytorch_milliseconds:.2f}")
    for file in record.files:
        shown.add_row(
            Text(file.file),
            f"{file.bytes / 1e6:.3f}",
            _percent(file.top1),
            _percent(file.same_prediction),
            f"{file.largest_difference:.1e}",
            f"{file.milliseconds:.2f}",
        )
    return shown


def _percent(share: float | None) -> str:
    return "" if share is None else f"{share:.2f} %"
