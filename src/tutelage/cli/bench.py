"""``tutelage bench``."""

from __future__ import annotations

from typing import Annotated

import typer

from tutelage import bench
from tutelage.cli.words import Words
from tutelage.config import as_mapping

_JSON = Annotated[str | None, typer.Option("--json", metavar="FILE", help="Write the figures here (or out=FILE).")]


def main(settings: Words, json: _JSON = None) -> None:
    """Measure how fast a distillation trains.

    \b
    tutelage bench data=~/flowers teacher=runs/teacher student=resnet8 \\
        method=kd batch_size=64

    The settings are those of tutelage distill, with turns=5 and steps=10. Beside it run a plain loop, as public
    repositories have it, and floors: the networks alone, on a batch in memory.
    """
    bench.bench(**as_mapping(*settings, *([{"out": json}] if json else [])))
