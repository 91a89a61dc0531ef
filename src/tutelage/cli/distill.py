"""``tutelage distill``."""

from __future__ import annotations

from typing import Annotated

import typer

from tutelage.config import DistillSettings, load
from tutelage.training import run


def main(settings: Annotated[list[str], typer.Argument(metavar="[FILE.yaml] key=value …")]) -> None:
    """Train a student under a teacher.

    tutelage distill data=~/flowers teacher=runs/teacher student=resnet8 method=kd+at out=runs/student
    """
    run(load(DistillSettings, *settings))
