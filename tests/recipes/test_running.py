"""``tutelage run`` from end to end: a teacher's recipe, then the recipe that names its folder."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from tutelage.cli import app

TINY = ["data=digits", "data.fraction=0.1", "epochs=1", "precision=fp32", "device=cpu", "batch_size=64"]


@pytest.fixture(autouse=True)
def somewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TUTELAGE_CACHE", str(tmp_path / "cache"))


def run(*words: str) -> Result:
    return CliRunner().invoke(app, ["run", *words])


def test_a_teacher_and_its_student() -> None:
    early = run("kd/cifar10-resnet110-resnet20", *TINY)
    assert "tutelage run baseline/cifar10-resnet110" in str(early.exception)
    assert not early.output
    small = ["model=resnet8", "data.padding_mode=zeros"]
    shown = run("baseline/cifar10-resnet110", *TINY, *small).output
    assert "published, alone: top-1 93.77 (best on test) in README of" in shown
    assert "alone: published top-1 93.77 (best on test); ours" in shown
    assert "(last epoch, test, with data=digits" in shown
    assert Path("runs/baseline/cifar10-resnet110/student/model.safetensors").is_file()
    shown = run("kd/cifar10-resnet110-resnet20", *TINY, "student=resnet8", "data.padding_mode=zeros").output
    assert "distilled: published top-1 92.82 (best on test); ours" in shown
    assert "teacher: published top-1 93.86 (best on test); ours" in shown
    assert "distilled: published" in Path("runs/kd/cifar10-resnet110-resnet20/log.txt").read_text()


def test_the_list_shows_names_and_published_figures() -> None:
    lines = CliRunner().invoke(app, ["list", "recipes"]).output.splitlines()
    (line,) = (line for line in lines if line.startswith("ofd/cifar100-a "))
    assert "WRN-28-4 → WRN-16-4" in line and "published top-1 error 20.89 (not stated)" in line
