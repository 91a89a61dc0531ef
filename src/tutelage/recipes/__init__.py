"""Recipes: one YAML file per experiment, named by its path in this package, such as ``baseline/cifar10-resnet20``.

A file has ``about`` (one line), ``verb`` (train or distill), ``config`` (the settings of that verb), ``published`` (the
published results) and, if the data set has no registered name, ``images``. See :class:`Recipe`.
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
    """Return the names of the recipes.

    Example:
        >>> import tutelage
        >>> "baseline/cifar10-resnet20" in tutelage.list_recipes()
        True
    """
    root = resources.files(__name__)
    return sorted(
        f"{source.name}/{file.name.removesuffix('.yaml')}"
        for source in root.iterdir()
        if source.is_dir()
        for file in source.iterdir()
        if file.name.endswith(".yaml")
    )


def load_recipe(name: str) -> Recipe:
    """Return a recipe by name.

    Raises:
        TutelageError: If there is no recipe with this name; the message suggests similar names.

    Example:
        >>> load_recipe("baseline/cifar10-resnet20").verb
        'train'
    """
    if name not in list_recipes():
        raise unknown("recipe", name, list_recipes())
    text = resources.files(__name__).joinpath(f"{name}.yaml").read_text(encoding="utf-8")
    return Recipe(name=name, **yaml.safe_load(text))


def recipe_of(folder: str) -> str | None:
    """Return the recipe whose run folder is ``folder`` (``runs/RECIPE``), or None if there is no such recipe."""
    name = folder.removeprefix(f"{RUNS}/")
    return name if name != folder and name in list_recipes() else None


def require_runs(settings: RunSettings) -> None:
    """Check that runs of other recipes that the settings use as networks are finished.

    Raises:
        TutelageError: If one is missing or not finished; the message contains the command to run.
    """
    for role in ("model", "student", "teacher"):
        for folder in _folders(getattr(settings, role, None)):
            name = recipe_of(folder)
            if name is not None and not Path(folder, "student").is_dir():
                started = Path(folder).exists()
                raise TutelageError(
                    f"{role}={folder} is not {'finished' if started else 'trained yet'}; first run 'tutelage "
                    f"{f'resume {folder}' if started else f'run {name}'}', or set another {role}=…"
                )


def _folders(network: ModelSettings | TeacherSettings | None) -> tuple[str, ...]:
    if isinstance(network, TeacherSettings):
        return network.names
    return () if network is None else (network.name,)
