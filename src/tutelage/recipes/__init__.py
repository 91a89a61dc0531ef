"""Recipes: one YAML file per experiment, named by its path in this package, such as ``baseline/cifar10-resnet20``.

A file has ``about`` (one line), ``verb`` (train or distill), ``config`` (the settings of that verb), ``published`` (the
published results) and, if the data set has no registered name, ``images``. See :class:`Recipe`. A file whose name
contains ``PAIR`` holds a recipe for each of many pairs of networks; see ``table``.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from tutelage.config import ModelSettings, RunSettings, TeacherSettings
from tutelage.errors import TutelageError, unknown
from tutelage.recipes.recipe import RUNS, Images, Published, Recipe
from tutelage.recipes.table import content_of, names_in

__all__ = ["Images", "Published", "Recipe", "list_recipes", "load_recipe", "recipe_of", "require_runs"]


def list_recipes() -> list[str]:
    """Return the names of the recipes.

    Example:
        >>> import tutelage
        >>> "baseline/cifar10-resnet20" in tutelage.list_recipes()
        True
    """
    return sorted(f"{file.parent.name}/{name}" for file in _files() for name in names_in(file))


def load_recipe(name: str) -> Recipe:
    """Return a recipe by name.

    Raises:
        TutelageError: If there is no recipe with this name; the message suggests similar names.

    Example:
        >>> load_recipe("baseline/cifar10-resnet20").verb
        'train'
    """
    file = _file_of(name)
    if file is None:
        raise unknown("recipe", name, list_recipes())
    return Recipe(name=name, **content_of(file, name.partition("/")[2]))


def _file_of(name: str) -> Path | None:
    """Return the file that holds a recipe, or None if the name is unknown."""
    source, _, last = name.partition("/")
    return next((file for file in _files() if file.parent.name == source and last in names_in(file)), None)


def _files() -> Iterable[Path]:
    return Path(__file__).parent.glob("*/*.yaml")


def recipe_of(folder: str) -> str | None:
    """Return the recipe whose run folder is ``folder`` (``runs/RECIPE``), or None if there is no such recipe."""
    name = folder.removeprefix(f"{RUNS}/")
    return name if name != folder and _file_of(name) is not None else None


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
