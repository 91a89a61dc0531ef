"""``tutelage list``."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

import tutelage
from tutelage.errors import unknown
from tutelage.methods import METHODS
from tutelage.recipes import load_recipe

KINDS = {
    "models": tutelage.list_models,
    "methods": tutelage.list_methods,
    "datasets": tutelage.list_datasets,
    "recipes": tutelage.list_recipes,
}


def main(kind: Annotated[str, typer.Argument(metavar="models | methods | datasets | recipes")]) -> None:
    """List what there is by name.

    tutelage list methods
    """
    if kind not in KINDS:
        raise unknown("kind", kind, KINDS)
    table = Table(box=None, show_header=False, pad_edge=False)
    for name in KINDS[kind]():
        table.add_row(name, _about(kind, name))
    Console().print(table)


def _about(kind: str, name: str) -> str:
    if kind == "methods":
        return (METHODS[name].__doc__ or "").split("\n")[0]
    return load_recipe(name)["about"] if kind == "recipes" else ""
