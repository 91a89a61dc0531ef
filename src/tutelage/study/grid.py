"""From what varies to the runs of a study, each checked before the first one starts."""

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
    """Of its folder."""
    values: dict[str, Any]
    """What it has on each key that varies; not the seed."""
    settings: Any
    """Of :class:`DistillSettings`, complete."""


def cells_of(study: StudySettings, shared: Tree) -> list[Cell]:
    """Returns the runs of the study: all combinations of the grid, each with every seed; equal ones once.

    Two combinations are equal where they differ only in settings that their method does not read: a temperature beside
    ``method=at``, a teacher beside ``method=none``. Raises :class:`TutelageError` for an unknown key or a wrong value.
    """
    cells: dict[str, Cell] = {}
    # By seeds first: runs at the same time then differ in method, and do not compute the same targets.
    for seed, values in itertools.product(range(study.seeds), _combinations(study.grid)):
        name = "-".join([*map(slug, label_of(values)), str(seed)])
        cell = cell_of(study.out, shared, name, values, seed=seed)
        cells.setdefault(str(_what_counts(cell.settings)), cell)
    _check_names(list(cells.values()))
    return list(cells.values())


def cell_of(out: Path, shared: Tree, name: str, values: Mapping[str, Any], **own: Any) -> Cell:
    """Returns the run of these values in the folder ``out`` of a study; its teacher is cached where nothing says no."""
    own["out"] = str(out / "runs" / name)
    settings = load(DistillSettings, {"cache.views": "all"}, shared, values, own)
    register_networks(settings)
    return Cell(name, dict(values), settings)


def _combinations(grid: Mapping[str, list[Any]]) -> list[dict[str, Any]]:
    for key, choices in grid.items():
        if not choices:
            raise TutelageError(f"grid.{key}=[]: give the values of {key}, as in grid.{key}=[…, …]")
    combinations = []
    for chosen in itertools.product(*grid.values()):
        values: dict[str, Any] = {}
        for key, value in zip(grid, chosen):
            # A mapping sets several keys at once, and the axis has but a name.
            values |= value if isinstance(value, dict) else {key: value}
        combinations.append(values)
    return combinations


def label_of(values: Mapping[str, Any]) -> list[str]:
    """Returns the parts of a combination's name: what names something by itself, else key and value."""
    return [str(value) if key in NAMES else f"{key}={value}" for key, value in values.items()] or ["run"]


def slug(label: str) -> str:
    """Returns a label as part of a folder's name."""
    return re.sub(r"[^\w.+=-]+", "_", label).strip("_.")


def _what_counts(settings: Any) -> Tree:
    """The settings without those that its method does not read, and without the folder."""
    methods = settings.methods()
    unread = {name for name in METHODS if name not in methods} | {"out", "overwrite"}
    if settings.method == "none":
        unread |= {"teacher", "cache"}
    return {key: value for key, value in settings.model_dump(mode="json").items() if key not in unread}


def _check_names(cells: list[Cell]) -> None:
    names = [cell.name for cell in cells]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise TutelageError(
            f"grid: two different runs would be named {twice}; give them names with an axis of mappings"
        )
