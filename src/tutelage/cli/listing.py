"""``tutelage list``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from itertools import groupby
from typing import Any, get_args

from rich.table import Table
from rich.text import Text

import tutelage
from tutelage.cli.command import Outcome
from tutelage.config import DistillSettings, Settings, keys, load
from tutelage.errors import unknown
from tutelage.methods import METHODS, Group, Method, traits_of
from tutelage.recipes import Recipe, load_recipe

Row = dict[str, Any]

METHOD_COLUMNS = ("matches", "teacher", "labels", "batch", "cache", "trains", "stages")

LEGEND = """\
teacher  must have the data's classes, the student's channels, or a head (any)
labels   the loss needs labels, beside the cross-entropy; refuses mixup, CutMix
batch    the loss compares the samples of a batch; refuses accumulate
cache    cache.views stores targets; large: with cache.features=true; no: never
trains   parameters beside the student's, for wrn_10_4 teaching resnet8;
         *: deployed with it
stages   stages that share the epochs, if more than one"""


def show_list(settings: list[str], kind: str) -> Outcome:
    if kind not in KINDS:
        raise unknown("kind", kind, KINDS)
    load(Settings, *settings)
    return KINDS[kind]()


def _plain(rows: Iterable[Row]) -> Outcome:
    rows = list(rows)
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(no_wrap=True)
    for row in rows:
        table.add_row(*map(Text, row.values()))
    return Outcome(rows, [table])


def _methods() -> Outcome:
    groups = get_args(Group)
    rows = sorted((_method(name, METHODS[name]) for name in METHODS), key=lambda row: groups.index(row["group"]))
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 1, 0, 0))
    for column in ("name", *METHOD_COLUMNS):
        table.add_column(no_wrap=column != "matches", justify="right" if column in ("trains", "stages") else "left")
    for group, members in groupby(rows, key=lambda row: str(row["group"])):
        table.add_row(*(Text(word, style="bold") for word in (group, *METHOD_COLUMNS)))
        for row in members:
            table.add_row(*map(Text, (row["name"], *method_cells(row))))
        table.add_row()
    return Outcome(rows, [table, LEGEND])


def _method(name: str, method: type[Method]) -> Row:
    summary = (method.__doc__ or "").split("\n")[0]
    about = {"name": name, "group": method.group, "matches": method.matches, "summary": summary}
    return {**about, **asdict(traits_of(method()))}


def method_cells(row: Mapping[str, Any]) -> Sequence[str]:
    """Return a method's cells in the columns ``METHOD_COLUMNS``."""
    return (
        row["matches"],
        row["teacher"],
        "yes" if row["labels"] else "",
        "yes" if row["batch"] else "",
        row["cache"] or "",
        _count(row["parameters"]) + "*" * row["deployed"],
        str(row["stages"]) if row["stages"] > 1 else "",
    )


def _count(parameters: int) -> str:
    """Return a number of parameters in short: ``87 k``."""
    if parameters < 1000:
        return str(parameters or "")
    return f"{parameters / 1000:.0f} k" if parameters < 999_500 else f"{parameters / 1e6:.1f} M"


def _recipe(recipe: Recipe) -> Row:
    published = "" if recipe.headline is None else f"published {recipe.headline}"
    return {"name": recipe.name, "about": recipe.about, "published": published}


KINDS: dict[str, Callable[[], Outcome]] = {
    "models": lambda: _plain({"name": name} for name in tutelage.list_models()),
    "methods": _methods,
    "datasets": lambda: _plain({"name": name} for name in tutelage.list_datasets()),
    "recipes": lambda: _plain(_recipe(load_recipe(name)) for name in tutelage.list_recipes()),
    "settings": lambda: _plain(key._asdict() for key in keys(DistillSettings)),
}
