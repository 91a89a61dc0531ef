"""``tutelage run``."""

from __future__ import annotations

from typing import Annotated

import typer

from tutelage.cli.words import OptionalWords
from tutelage.config import DistillSettings, TrainSettings, load
from tutelage.errors import TutelageError
from tutelage.recipes import load_recipe
from tutelage.training import run


def main(
    name: Annotated[str, typer.Argument(metavar="RECIPE", help="A name (tutelage list recipes).")],
    settings: OptionalWords = None,
) -> None:
    """Run a recipe, with changes where given.

    \b
    tutelage run kd/cifar10-resnet20-resnet8 teacher=runs/teacher seed=1
    """
    if name.endswith((".yaml", ".yml")):
        raise TutelageError(f"'{name}' is no recipe but a file of settings: tutelage distill {name}, or train {name}")
    recipe = load_recipe(name)
    kind = TrainSettings if recipe["verb"] == "train" else DistillSettings
    run(load(kind, recipe["config"], *(settings or [])))
