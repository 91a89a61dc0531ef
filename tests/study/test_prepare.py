"""What the runs of a study share is settled before the first; what each says for itself stays."""

from __future__ import annotations

from pathlib import Path

from tutelage.config import DistillSettings, load
from tutelage.study.grid import Cell, cells_of
from tutelage.study.prepare import prepare
from tutelage.study.settings import StudySettings, read_settings
from tutelage.training import run

SHARED = {
    "data": "digits",
    "data.fraction": 0.05,
    "student": "resnet8",
    "method": "none",
    "device": "cpu",
    "optimizer": "sgd",
}


def cells(out: Path, *words: str) -> list[Cell]:
    own, rest = read_settings(StudySettings, SHARED | {"out": str(out)}, "seeds=1", *words)
    return prepare(cells_of(own, rest))


def test_a_precision_that_varies_stays_as_it_is(tmp_path: Path) -> None:
    found = cells(tmp_path, "grid.precision=[fp32,bf16]")
    assert [cell.settings.precision for cell in found] == ["fp32", "bf16"]


def test_auto_becomes_one_precision_for_all(tmp_path: Path) -> None:
    (first, second) = cells(tmp_path, "grid.optimizer.lr=[0.1,0.2]")
    assert first.settings.precision == second.settings.precision != "auto"


def test_what_an_earlier_call_settled_holds(tmp_path: Path) -> None:
    """A study goes on in the precision that its runs have, whatever a timing would choose now."""
    begun = tmp_path / "runs" / "optimizer.lr=0.1-0"
    run(load(DistillSettings, SHARED, {"epochs": 1, "out": str(begun), "precision": "bf16"}))
    found = cells(tmp_path, "grid.optimizer.lr=[0.1,0.2]")
    assert [cell.settings.precision for cell in found] == ["bf16", "bf16"]
