"""Read the settings of a run from its folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tutelage.config import DistillSettings, RunSettings, TrainSettings, load, read_yaml
from tutelage.errors import TutelageError
from tutelage.runs import RunFolder


def load_run(folder: Path) -> RunSettings:
    """Return the resolved settings of a run, with ``out`` set to the current path of its folder.

    Raises:
        TutelageError: If ``folder`` is not a run folder, or its config.yaml is invalid.
    """
    if not RunFolder(folder).config.is_file():
        raise TutelageError(f"{folder} is not a run folder: it has no config.yaml")
    tree = read_yaml(folder / "config.yaml")
    kind = TrainSettings if "model" in tree else DistillSettings
    try:
        return load(kind, _with_rules_of_0_1(tree), {"out": str(folder)})
    except TutelageError as error:
        raise TutelageError(f"{folder / 'config.yaml'}: {error}") from None


def _with_rules_of_0_1(tree: dict[str, Any]) -> dict[str, Any]:
    """Add the fixed behavior of version 0.1, whose config.yaml does not contain these settings."""
    return {"bn_momentum": None} | {key: _decaying_norms(key, value) for key, value in tree.items()}


def _decaying_norms(key: str, value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    inner = {name: _decaying_norms(name, entry) for name, entry in value.items()}
    return {"decay_norms": True} | inner if key.endswith("optimizer") else inner
