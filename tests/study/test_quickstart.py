"""The quickstart: what it leaves and prints, on a short run, and what it concludes from given statistics."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.results import result
from tutelage import TutelageError
from tutelage.study import Row, conclusion, quickstart, summarize


def rows(alone: list[float], **distilled: list[float]) -> list[Row]:
    methods = {"none": alone, **distilled}
    return summarize([result(name, seed, top1) for name, values in methods.items() for seed, top1 in enumerate(values)])


def test_quickstart(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = quickstart(tmp_path / "out", seeds=1, epochs=2)
    assert [row.method for row in found.rows] == ["none", "kd", "kd+at"] and not found.failed
    shown = capsys.readouterr().out
    assert "1,293 labelled digits" in shown and "649 digits, of which 67" in shown and "top-1 %" in shown
    assert "epoch" not in shown  # what the runs print goes to their own files
    for run in ("teacher", *(f"few-labels/runs/{method}-0" for method in ("none", "kd", "kd+at"))):
        assert (tmp_path / "out" / run / "student" / "model.safetensors").is_file()
    with pytest.raises(TutelageError, match=r"teacher was trained with epochs=1, and this study has epochs=2"):
        quickstart(tmp_path / "out", seeds=1, epochs=4)


def test_other_folders_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").touch()
    with pytest.raises(TutelageError, match="is not a quickstart; set another out"):
        quickstart(tmp_path)


def test_a_gain() -> None:
    said = conclusion(rows([92.0, 93.0, 91.0], kd=[98.0, 98.5, 99.0], fitnets=[97.0, 97.0, 97.5]))
    assert "98.5 % of the test images correctly under its teacher (kd) and 92.0 % alone. " in said
    assert "Distillation gains 6.5 points (95 % confidence interval +4." in said and "3 seeds" in said


def test_a_loss() -> None:
    said = conclusion(rows([98.0, 98.5, 99.0], kd=[92.0, 93.0, 91.0]))
    assert "Distillation loses 6.5 points (95 % confidence interval -" in said and "gains" not in said


def test_chance() -> None:
    said = conclusion(rows([90.0, 95.0, 91.0], kd=[92.0, 93.5, 94.0]))
    assert "These runs do not show that distillation helps: the difference is 1.2 points (95 % confidence" in said
    assert "interval -" in said and "gains" not in said


def test_seeds_that_all_agree_cannot_be_tested() -> None:
    said = conclusion(rows([90.0, 90.0], kd=[99.0, 99.0]))
    assert "cannot be tested" in said and "gains" not in said


def test_one_seed_shows_nothing() -> None:
    said = conclusion(rows([90.0], kd=[99.0]))
    assert "99.0 %" in said and "from chance; set seeds=5" in said and "gains" not in said
