"""Recipes: one YAML file an experiment, named by its path here: ``kd/cifar10-resnet20-resnet8``.

A file has ``about`` (one line), ``verb`` (train or distill) and ``config`` (the keys of that verb).
"""

from __future__ import annotations

from importlib import resources
from typing import Any

import yaml

from tutelage.errors import unknown


def list_recipes() -> list[str]:
    """Returns the names of the recipes."""
    root = resources.files(__name__)
    return sorted(
        f"{source.name}/{file.name.removesuffix('.yaml')}"
        for source in root.iterdir()
        if source.is_dir()
        for file in source.iterdir()
        if file.name.endswith(".yaml")
    )


def load_recipe(name: str) -> dict[str, Any]:
    """Returns the recipe's content; raises :class:`TutelageError` with the nearest name where there is none."""
    if name not in list_recipes():
        raise unknown("recipe", name, list_recipes())
    return yaml.safe_load(resources.files(__name__).joinpath(f"{name}.yaml").read_text(encoding="utf-8"))
