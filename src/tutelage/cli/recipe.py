"""``tutelage run``."""

from __future__ import annotations

from typing import Annotated

import typer

from tutelage.config import DistillSettings, TrainSettings, load
from tutelage.recipes import load_recipe
from tutelage.training import run


def main(
    name: Annotated[str, typer.Argument(metavar="RECIPE")],
    settings: Annotated[list[str] | None, typer.Argument(metavar="[FILE.yaml] key=value …")] = None,
) -> None:
    """Run a recipe (tutelage list recipes), with changes where given.

    tutelage run kd/cifar10-resnet20-resnet8 data=~/cifar teacher=runs/teacher seed=1
    """
    recipe = load_recipe(name)
    kind = TrainSettings if recipe["verb"] == "train" else DistillSettings
    run(load(kind, recipe["config"], *(settings or [])))
