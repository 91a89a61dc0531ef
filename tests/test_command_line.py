"""The command line as a user types it."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from tutelage.cli import app

QUICK = ["data=digits", "epochs=1", "precision=fp32", "device=cpu", "batch_size=256"]


@pytest.fixture(autouse=True)
def somewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def run(*words: str) -> Result:
    return CliRunner().invoke(app, list(words))


def good(*words: str) -> str:
    result = run(*words)
    assert result.exit_code == 0, result.output
    return result.output


def test_train_distill_evaluate_and_the_plan() -> None:
    plan = good("train", *QUICK, "model=resnet14", "out=teacher")
    assert "10 classes" in plan and "resnet14" in plan and "deployable student in teacher/student" in plan
    plan = good("distill", *QUICK, "teacher=teacher", "student=resnet8", "method=kd+at", "out=student")
    for shown in ("teacher", "top-1 on validation", "at.layer3", "layer3 64×4×4", "0.9", "78 k", "train"):
        assert shown in plan, shown
    assert Path("student/student/model.safetensors").is_file()
    assert "359 images of test" in good("evaluate", "model=student", "device=cpu")
    assert "images of validation" in good("evaluate", "model=student", "split=validation", "device=cpu")
    again = good("distill", "student/config.yaml", "out=again", "seed=1")
    assert "seed 1" in again
    assert isinstance(run("resume", "student").exception, ValueError)


def test_a_recipe_with_changes() -> None:
    assert "resnet8" in good("run", "quick/cifar10-resnet8", *QUICK, "out=run")


@pytest.mark.parametrize(
    ("kind", "shown"),
    [
        ("models", "wrn_40_2"),
        ("methods", "fitnets"),
        ("datasets", "digits"),
        ("recipes", "baseline/cifar10-resnet20"),
        ("settings", "kd.temperature"),
    ],
)
def test_lists(kind: str, shown: str) -> None:
    assert shown in good("list", kind)


def test_inspect_shows_what_can_be_tapped() -> None:
    shown = good("inspect", "resnet8", "size=32")
    assert "78,042 parameters" in shown
    (level,) = (line for line in shown.splitlines() if line.startswith("layer3 "))
    assert "64×8×8" in level and "after" in level
    (before,) = (line for line in shown.splitlines() if line.startswith("layer3.0.add "))
    assert "before" in before


def test_help_names_every_verb() -> None:
    shown = good("--help")
    for verb in ("train", "distill", "run", "resume", "evaluate", "inspect", "list", "quickstart"):
        assert verb in shown
