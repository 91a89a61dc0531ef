"""``tutelage list``."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from rich.table import Table

import tutelage
from tutelage.cli.command import Outcome
from tutelage.config import DistillSettings, Settings, keys, load
from tutelage.errors import unknown
from tutelage.methods import METHODS, Method
from tutelage.recipes import Recipe, load_recipe

Row = dict[str, str]

KINDS: dict[str, Callable[[], Iterable[Row]]] = {
    "models": lambda: ({"name": name} for name in tutelage.list_models()),
    "methods": lambda: ({"name": name, "summary": _first_line(METHODS[name])} for name in tutelage.list_methods()),
    "datasets": lambda: ({"name": name} for name in tutelage.list_datasets()),
    "recipes": lambda: (_recipe(load_recipe(name)) for name in tutelage.list_recipes()),
    "settings": lambda: (key._asdict() for key in keys(DistillSettings)),
}


def show_list(settings: list[str], kind: str) -> Outcome:
    if kind not in KINDS:
        raise unknown("kind", kind, KINDS)
    load(Settings, *settings)
    rows = list(KINDS[kind]())
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(no_wrap=True)
    for row in rows:
        table.add_row(*row.values())
    return Outcome(rows, [table])


def _first_line(method: type[Method]) -> str:
    return (method.__doc__ or "").split("\n")[0]


def _recipe(recipe: Recipe) -> Row:
    published = "" if recipe.headline is None else f"published {recipe.headline}"
    return {"name": recipe.name, "about": recipe.about, "published": published}
