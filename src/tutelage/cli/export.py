"""``tutelage export``."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tutelage.cli.words import OptionalWords
from tutelage.config import as_mapping
from tutelage.export import Record, export_student


def main(
    model: Annotated[str, typer.Argument(metavar="RUN", help="A run folder, or the folder of a saved model.")],
    settings: OptionalWords = None,
) -> None:
    """Write the student of a run for other runtimes.

    \b
    tutelage export runs/student format=onnx
    tutelage export runs/student format=[onnx,int8,executorch] out=phone
    tutelage export runs/student format=safetensors push=USER/NAME

    Formats: safetensors (timm's layout), onnx, int8 (ONNX, quantised on real training images), executorch (phones),
    torch_export. Each file is opened again by its runtime and compared with PyTorch on real images. Keys: out,
    overwrite, images=N to check with, calibration=512, preprocessing=false, data.…, push, private.
    """
    console = Console()
    config = as_mapping(*(settings or []))
    try:
        record = export_student(model, **config)
    except (KeyboardInterrupt, SystemExit):
        console.print("stopped; nothing was exported and no partial files are left")
        raise
    console.print(table(record))
    console.print(
        f"top-1 on {record.images:,} images of {record.split}; differences from PyTorch's logits; ms for one image, on "
        f"{record.machine}",
        highlight=False,
        soft_wrap=True,
    )


def table(record: Record) -> Table:
    """Returns the files of an export, beside PyTorch."""
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
