"""``tutelage train``."""

from __future__ import annotations

from typing import Annotated

import typer

from tutelage.config import TrainSettings, load
from tutelage.training import run


def main(settings: Annotated[list[str], typer.Argument(metavar="[FILE.yaml] key=value …")]) -> None:
    """Train one network on labels, for example a teacher.

    tutelage train data=~/flowers model=timm/resnet34 model.weights=pretrained out=runs/teacher
    """
    run(load(TrainSettings, *settings))
