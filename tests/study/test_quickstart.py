"""The quickstart, with one seed and a third of its epochs."""

from __future__ import annotations

from pathlib import Path

import pytest

from tutelage import TutelageError
from tutelage.study import quickstart


def test_quickstart(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results = quickstart(tmp_path / "out", seeds=1, epochs=6)
    assert [(result.student, result.method) for result in results] == [
        *(("resnet20", "none"), ("resnet8", "none"), ("resnet8", "kd"), ("resnet8", "fitnets")),
    ]
    assert results[0].top1 > 15 and all(result.epochs == 6 for result in results)
    shown = capsys.readouterr().out
    assert "top-1 %" in shown and "mean ± standard deviation" in shown
    assert (tmp_path / "out" / "fitnets-0" / "student" / "model.safetensors").is_file()
    with pytest.raises(TutelageError, match="choose another folder"):
        quickstart(tmp_path / "out")
