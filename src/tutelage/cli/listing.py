"""``tutelage list``."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

import tutelage
from tutelage.config import DistillSettings, keys
from tutelage.errors import unknown
from tutelage.methods import METHODS, Method
from tutelage.recipes import load_recipe

KINDS: dict[str, Callable[[], Iterable[tuple[str, ...]]]] = {
    "models": lambda: [(name, "") for name in tutelage.list_models()],
    "methods": lambda: [(name, _first_line(METHODS[name])) for name in tutelage.list_methods()],
    "datasets": lambda: [(name, "") for name in tutelage.list_datasets()],
    "recipes": lambda: [(name, load_recipe(name)["about"]) for name in tutelage.list_recipes()],
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
    for row in KINDS[kind]():
        table.add_row(*row)
    Console().print(table)


def _first_line(method: type[Method]) -> str:
    return (method.__doc__ or "").split("\n")[0]
