"""Expand the grid of a study into runs."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tutelage.config import DistillSettings, load, register_networks
from tutelage.errors import TutelageError
from tutelage.methods import METHODS
from tutelage.study.settings import StudySettings, Tree

NAMES = ("method", "student", "teacher", "data")


@dataclass(frozen=True)
class Cell:
    """One run of a study."""

    name: str
    """Name of the run folder."""
    values: dict[str, Any]
    """Values of the keys that vary, without the seed."""
    settings: Any
    """Complete settings, usually :class:`DistillSettings`."""


def cells_of(study: StudySettings, shared: Tree) -> list[Cell]:
    """Return the runs of a study: all combinations of the grid with all seeds, without duplicates.

    Combinations are duplicates if they differ only in settings that their method does not use, such as a temperature
    with ``method=at`` or a teacher with ``method=none``.

    Raises:
        TutelageError: If a key is unknown, a value is invalid, or two different runs would have the same name.
    """
    cells: dict[str, Cell] = {}
    # Seeds vary slowest, so that concurrent runs have different methods and do not compute the same targets.
    for seed, values in itertools.product(range(study.seeds), _combinations(study.grid)):
        name = "-".join([*map(slug, label_of(values)), str(seed)])
        cell = cell_of(study.out, shared, name, values, seed=seed)
        cells.setdefault(str(_what_counts(cell.settings)), cell)
    _check_names(list(cells.values()))
    return list(cells.values())


def cell_of(out: Path, shared: Tree, name: str, values: Mapping[str, Any], **own: Any) -> Cell:
    """Return the run with these values, in the folder ``out`` of a study; teacher outputs are cached by default."""
    own["out"] = str(out / "runs" / name)
    settings = load(DistillSettings, {"cache.views": "all"}, shared, values, own)
    register_networks(settings)
    return Cell(name, dict(values), settings)


def _combinations(grid: Mapping[str, list[Any]]) -> list[dict[str, Any]]:
    for key, choices in grid.items():
        if not choices:
            raise TutelageError(f"grid.{key}=[]: set the values of {key}, as in grid.{key}=[…, …]")
    combinations = []
    for chosen in itertools.product(*grid.values()):
        values: dict[str, Any] = {}
        for key, value in zip(grid, chosen):
            # A mapping sets several keys at once; the key of the axis is then only a name.
            values |= value if isinstance(value, dict) else {key: value}
        combinations.append(values)
    return combinations


def label_of(values: Mapping[str, Any]) -> list[str]:
    """Return the parts of a combination's name: the value for method, networks and data, ``key=value`` for others."""
    return [str(value) if key in NAMES else f"{key}={value}" for key, value in values.items()] or ["run"]


def slug(label: str) -> str:
    """Return a label as part of a folder name."""
    return re.sub(r"[^\w.+=-]+", "_", label).strip("_.")


def _what_counts(settings: Any) -> Tree:
    """Return the settings that affect the result: without the folder and settings that the method does not use."""
    methods = settings.methods()
    unread = {name for name in METHODS if name not in methods} | {"out", "overwrite"}
    if settings.method == "none":
        unread |= {"teacher", "cache"}
    return {key: value for key, value in settings.model_dump(mode="json").items() if key not in unread}


def _check_names(cells: list[Cell]) -> None:
    names = [cell.name for cell in cells]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise TutelageError(f"grid: two different runs would be named {twice}; name them with an axis of mappings")
