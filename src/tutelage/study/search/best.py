"""The end of every search: settings are chosen on validation data and written as settings of a run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tutelage.config import DistillSettings, dump, load
from tutelage.data import open_data
from tutelage.errors import TutelageError
from tutelage.study.grid import Cell
from tutelage.study.settings import Tree


def require_validation(cell: Cell) -> None:
    """Check that the run has validation data.

    Raises:
        TutelageError: If it has none.
    """
    if open_data(cell.settings.data).validation is None:
        raise TutelageError(
            f"data.validation={cell.settings.data.validation}: settings are chosen on validation data, never on test "
            f"data. Set data.validation=0.1, for example"
        )


def write_best(out: Path, shared: Tree, values: Mapping[str, Any]) -> None:
    (out / "best.yaml").write_text(dump(load(DistillSettings, shared, values)), encoding="utf-8")
