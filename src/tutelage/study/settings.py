"""The settings of a study: those of ``distill``, and what varies between its runs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field

from tutelage.config import Settings, as_mapping, load

Tree = dict[str, Any]


class StudySettings(Settings):
    """``tutelage study``: what varies, and how it is worked through; all other keys are those of ``distill``."""

    out: Path = Field(Path("runs/study"), description="the study's folder; its runs are in runs/ there")
    grid: dict[str, list[Any]] = Field(
        default_factory=dict,
        description="the values of each key that varies, as in grid.method=[none,kd]; a value may be a mapping of keys",
    )
    seeds: int = Field(3, ge=1, description="runs of each combination: seeds 0, 1, …")
    workers: int = Field(1, ge=1, description="runs trained at a time, each in a process of its own")


def read_settings(*layers: Mapping[str, Any] | str | Path) -> tuple[StudySettings, Tree]:
    """Splits words, files or mappings into the study's own settings and what all its runs share.

    Raises :class:`TutelageError` where one of the study's own keys has a wrong value; the shared ones are checked with
    each run's.
    """
    tree = as_mapping(*layers)
    own = {key: tree.pop(key) for key in StudySettings.model_fields if key in tree}
    if isinstance(own.get("grid"), dict):
        own["grid"] = dict(_axes(own["grid"]))
    return load(StudySettings, own), tree


def _axes(grid: Tree, prefix: str = "") -> list[tuple[str, Any]]:
    """Returns each axis by its dotted key: ``{kd: {temperature: [2, 4]}}`` has the axis ``kd.temperature``."""
    axes: list[tuple[str, Any]] = []
    for key, value in grid.items():
        axes += _axes(value, f"{prefix}{key}.") if isinstance(value, dict) else [(prefix + str(key), value)]
    return axes
