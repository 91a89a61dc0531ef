"""Recipes: one YAML file an experiment, named by its path here: ``baseline/cifar10-resnet20``.

A file has ``about`` (one line), ``verb`` (train or distill), ``config`` (the keys of that verb) and ``published``, the
published figures; ``images`` where the data have no registered name. See :class:`Recipe`.
"""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import yaml

from tutelage.config import ModelSettings, RunSettings, TeacherSettings
from tutelage.errors import TutelageError, unknown
from tutelage.recipes.recipe import RUNS, Images, Published, Recipe

__all__ = ["Images", "Published", "Recipe", "list_recipes", "load_recipe", "recipe_of", "require_runs"]


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


def load_recipe(name: str) -> Recipe:
    """Returns the recipe; raises :class:`TutelageError` with the nearest name where there is none."""
    if name not in list_recipes():
        raise unknown("recipe", name, list_recipes())
    text = resources.files(__name__).joinpath(f"{name}.yaml").read_text(encoding="utf-8")
    return Recipe(name=name, **yaml.safe_load(text))


def recipe_of(folder: str) -> str | None:
    """Returns the recipe whose run goes to ``folder`` (``runs/RECIPE``); None where that is no recipe's folder."""
    name = folder.removeprefix(f"{RUNS}/")
    return name if name != folder and name in list_recipes() else None


def require_runs(settings: RunSettings) -> None:
    """Raises :class:`TutelageError` where a network is another recipe's run that is not there, with its command."""
    for role in ("model", "student", "teacher"):
        for folder in _folders(getattr(settings, role, None)):
            name = recipe_of(folder)
            if name is not None and not Path(folder, "student").is_dir():
                started = Path(folder).exists()
                raise TutelageError(
                    f"{role}={folder} is not {'finished' if started else 'there yet'}: first run 'tutelage "
                    f"{f'resume {folder}' if started else f'run {name}'}', or give {role}=… another network"
                )


def _folders(network: ModelSettings | TeacherSettings | None) -> tuple[str, ...]:
    if isinstance(network, TeacherSettings):
        return network.names
    return () if network is None else (network.name,)
