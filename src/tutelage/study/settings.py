"""The settings of a study, in addition to the settings of ``distill``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, Field

from tutelage.config import Settings, as_mapping, load, to_yaml
from tutelage.paths import check_out

Tree = dict[str, Any]
S = TypeVar("S", bound=Settings)


def _flat(grid: Any, prefix: str = "") -> Any:
    """Return the axes by dotted key: ``{kd: {temperature: [2, 4]}}`` becomes ``{kd.temperature: [2, 4]}``."""
    if not isinstance(grid, dict):
        return grid
    axes: Tree = {}
    for key, value in grid.items():
        inner = isinstance(value, dict) and "low" not in value  # an interval is a value, not a section
        axes |= _flat(value, f"{prefix}{key}.") if inner else {f"{prefix}{key}": value}
    return axes


Axes = Annotated[dict[str, list[Any]], BeforeValidator(_flat)]
Space = Annotated[Tree, BeforeValidator(_flat)]


class StudySettings(Settings):
    """The settings of ``tutelage study``; all other keys are settings of ``distill``."""

    out: Path = Field(Path("runs/study"), description="folder of the study; its runs are in runs/")
    grid: Axes = Field(
        default_factory=dict,
        description="values of each key that varies, as in grid.method=[none,kd]; a value may be a mapping of keys",
    )
    seeds: int = Field(3, ge=1, description="number of runs of each combination, with seeds 0, 1, …")
    workers: int = Field(1, ge=1, description="runs trained at a time, each in its own process")


def read_settings(kind: type[S], *layers: Mapping[str, Any] | str | Path) -> tuple[S, Tree]:
    """Split words, files or mappings into settings of ``kind`` and settings that all runs share.

    The shared settings are validated later, with each run.

    Raises:
        TutelageError: If a setting of ``kind`` is invalid.
    """
    tree = as_mapping(*layers)
    own = {key: tree.pop(key) for key in kind.model_fields if key in tree}
    return load(kind, own), tree


def check_folder(out: Path) -> None:
    """Check that ``out`` is empty, does not exist, or is a study.

    Raises:
        TutelageError: If it contains something else.
    """
    check_out(out, True, "a study", (out / "study.yaml").is_file())


def write_settings(own: BaseModel, shared: Tree) -> None:
    """Write the settings to ``study.yaml``, from which the same command can be repeated."""
    content = own.model_dump(mode="json")
    folder = Path(content["out"])
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "study.yaml").write_text(to_yaml({**shared, **content}), encoding="utf-8")
