"""A run does not resume on data that changed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from data.pictures import picture
from harness.runs import SMALL
from tutelage import TutelageError, distill, resume, train
from tutelage.cli import app
from tutelage.training import load_run

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
    with pytest.raises(TutelageError, match=r"images of pictures changed .*14 \(train\), 2 .* then, .* now"):
        resume(run)
    (root / "dog" / "0.png").unlink()
    root.rename(root.with_name("moved"))
    with pytest.raises(TutelageError, match=r"data=.*pictures no longer exists.*resume .*run data="):
        resume(run)
    root.with_name("moved").rename(root)
    assert resume(run).status == "finished"


def test_moved_data_are_found_by_their_new_place_which_is_kept(unfinished: tuple[Path, Path]) -> None:
    run, root = unfinished
    new = root.with_name("moved")
    root.rename(new)
    add(new / "cat", 60)
    with pytest.raises(TutelageError, match="images of moved changed"):
        resume(run, data=new)
    assert load_run(run).data.name == str(root)
    (new / "cat" / "60.png").unlink()
    result = CliRunner().invoke(app, ["resume", str(run), f"data={new}"])
    assert result.exit_code == 0, result.exception
    assert load_run(run).data.name == str(new)


def test_a_relative_folder_that_is_gone_is_named_with_the_remedy(
    unfinished: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    run, root = unfinished
    monkeypatch.chdir(root.parent)
    train(**{**RUN, "data": "pictures"}, out="relative")
    Path("relative/result.json").unlink()
    root.rename("moved")
    with pytest.raises(TutelageError, match=r"data=pictures no longer exists \(it was in /.*resume relative data="):
        resume("relative")
    with pytest.raises(TutelageError, match="data=nowhere"):
        resume("relative", data="nowhere")
    assert resume("relative", data="moved").status == "finished"


def test_the_data_of_a_teacher_that_is_fine_tuned_first_move_with_those_of_the_run(
    unfinished: tuple[Path, Path],
) -> None:
    run, root = unfinished
    teacher = {"name": "resnet8", "finetune": "full", "epochs": 1}
    settings = {**SMALL, "data": str(root), "batch_size": 6, "epochs": 1}
    taught = run.with_name("taught")
    distill(**settings, teacher=teacher, student="resnet8", method="kd", out=taught)
    (taught / "result.json").unlink()
    root.rename(root.with_name("moved"))
    assert resume(taught, data=root.with_name("moved")).status == "finished"
