"""``tutelage compare``."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tutelage.cli.words import paths_and_settings
from tutelage.config import as_mapping
from tutelage.students import Comparison, compare

_JSON = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
_HELP = "Runs, model folders, files of exports; and data=…, out=FILE.json."


def main(models: Annotated[list[str], typer.Argument(metavar="RUN", help=_HELP)], json: _JSON = False) -> None:
    """Put models side by side: size, speed, accuracy.

    \b
    tutelage compare runs/teacher runs/alone runs/student
    tutelage compare runs/student runs/student/export/model-int8.onnx --json

    Accuracy is on the same images for all: those of the first run, or of data=….
    """
    paths, settings = paths_and_settings(models)
    comparison = compare(paths, **as_mapping(*settings))
    if json:
        print(comparison.model_dump_json(indent=2))
        return
    console = Console()
    console.print(table(comparison))
    if comparison.data is not None:
        images = f"{comparison.images:,} images of {comparison.split} of {comparison.data}"
        console.print(f"top-1 on {images}", highlight=False, markup=False, soft_wrap=True)
    console.print(
        f"ms × N: from N uint8 images to logits, median; on {comparison.machine}",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )


def table(comparison: Comparison) -> Table:
    """Returns the models as rows: each with its network below its path, so that 80 columns are enough."""
    shown = Table(box=None, header_style="bold", pad_edge=False)
    shown.add_column("model", overflow="fold")
    for header in ("params", "MB", "MACs", "ms × 1", "ms × 32", "img/s", "top-1"):
        shown.add_column(header, justify="right", no_wrap=True)
    for row in comparison.rows:
        shown.add_row(
            Text.assemble(row.path, "\n", (row.model, "dim")),
            f"{row.parameters:,}",
            f"{row.megabytes:.3f}",
            f"{row.macs / 1e6:,.1f}M",
            f"{row.milliseconds_1:.2f}",
            "" if row.milliseconds_32 is None else f"{row.milliseconds_32:.2f}",
            f"{row.images_per_second:,.0f}",
            "" if row.top1 is None else f"{row.top1:.2f}%",
        )
    return shown
