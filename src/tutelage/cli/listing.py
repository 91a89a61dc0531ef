"""``tutelage list``."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Annotated

import typer
from rich.table import Table

import tutelage
from tutelage.config import DistillSettings, keys
from tutelage.console import build_console
from tutelage.errors import unknown
from tutelage.methods import METHODS, Method
from tutelage.recipes import Recipe, load_recipe

KINDS: dict[str, Callable[[], Iterable[tuple[str, ...]]]] = {
    "models": lambda: [(name, "") for name in tutelage.list_models()],
    "methods": lambda: [(name, _first_line(METHODS[name])) for name in tutelage.list_methods()],
    "datasets": lambda: [(name, "") for name in tutelage.list_datasets()],
    "recipes": lambda: [_recipe(load_recipe(name)) for name in tutelage.list_recipes()],
    "settings": lambda: keys(DistillSettings),
}


def main(kind: Annotated[str, typer.Argument(metavar="KIND", help=f"One of {', '.join(KINDS)}.")]) -> None:
    """List what there is by name, or every setting.

    \b
    tutelage list methods
    """
    if kind not in KINDS:
        raise unknown("kind", kind, KINDS)
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(no_wrap=True)
    for row in KINDS[kind]():
        table.add_row(*row)
    build_console().print(table)


def _first_line(method: type[Method]) -> str:
    return (method.__doc__ or "").split("\n")[0]


def _recipe(recipe: Recipe) -> tuple[str, str, str]:
    return recipe.name, recipe.about, "" if recipe.headline is None else f"published {recipe.headline}"
