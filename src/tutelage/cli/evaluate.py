"""``tutelage evaluate``."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from tutelage import training
from tutelage.config import as_mapping


def main(settings: Annotated[list[str], typer.Argument(metavar="key=value …")]) -> None:
    """Measure a run, or any network, on a split of its data or of others.

    tutelage evaluate model=runs/student split=validation
    """
    figures = training.evaluate(**as_mapping(*settings))
    Console().print(
        f"{figures['top1']:.2f} % top-1, {figures['top5']:.2f} % top-5, loss {figures['loss']:.4f} on "
        f"{figures['count']:,} images of {figures['split']}",
        highlight=False,
    )
