"""A run does not resume on data that changed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from data.pictures import picture
from harness.runs import SMALL
from tutelage import TutelageError, resume, train

RUN: dict[str, Any] = {**SMALL, "model": "resnet8", "epochs": 1, "batch_size": 6}


@pytest.fixture
def unfinished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """A run without its result, and the folder it was trained on."""
    monkeypatch.setenv("TUTELAGE_CACHE", str(tmp_path / "cache"))
    root, run = tmp_path / "pictures", tmp_path / "run"
    for number in range(16):
        add(root / ("cat", "dog")[number % 2], number)
    train(**{**RUN, "data": str(root)}, out=run)
    with pytest.raises(TutelageError, match=f"is finished.*student={run}, or model={run}"):
        resume(run)
    (run / "result.json").unlink()
    return run, root


def add(folder: Path, number: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    picture(number, 16, 16).save(folder / f"{number}.png")


def test_changed_data_are_refused_until_they_are_restored(unfinished: tuple[Path, Path]) -> None:
    run, root = unfinished
    add(root / "bird", 50)
    add(root / "bird", 51)
    with pytest.raises(TutelageError, match=r"classes of pictures changed .*added: bird; removed: none.*Restore"):
        resume(run)
    for path in (root / "bird").iterdir():
        path.unlink()
    (root / "bird").rmdir()
    (root / "cat").rename(root / "zebra")
    with pytest.raises(TutelageError, match="added: zebra; removed: cat"):
        resume(run)
    (root / "zebra").rename(root / "cat")
    add(root / "dog", 0)
    with pytest.raises(TutelageError, match=r"images of pictures changed .*there were 14 \(train\), 2 .*now there are"):
        resume(run)
    (root / "dog" / "0.png").unlink()
    root.rename(root.with_name("moved"))
    with pytest.raises(TutelageError, match=r"no longer exists.*set the new place as data="):
        resume(run)
    root.with_name("moved").rename(root)
    assert resume(run).status == "finished"
