"""What a run shows before it trains, in which order, and that its results can be measured again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.runs import SMALL
from tutelage import distill, evaluate, train


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("teacher") / "run"
    train(**SMALL, model="resnet8", epochs=2, out=folder)
    return str(folder)


def places(text: str, *parts: str) -> list[int]:
    """Returns where each part begins; all of them have to be there."""
    assert all(part in text for part in parts), text
    return [text.index(part) for part in parts]


def test_the_plan_comes_first_and_the_trial_and_the_teacher_complete_it(
    teacher: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    parts = "data     digits", "network", "stage", "chosen   precision", "% top-1 on validation", "train epoch   1"
    distill(**SMALL, teacher=teacher, student="resnet8", method="kd", epochs=1, out=tmp_path / "run")
    for text in (capsys.readouterr().out, (tmp_path / "run" / "log.txt").read_text()):
        found = places(text, *parts)
        assert found == sorted(found)


def test_the_whole_plan_comes_before_the_fine_tuning(
    teacher: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tuned = {"name": teacher, "finetune": "head", "epochs": 1}
    distill(**SMALL, teacher=tuned, student="resnet8", method="kd", epochs=1, out=tmp_path / "run")
    found = places(
        capsys.readouterr().out, "logits", "chosen   precision", "training the teacher first", "deployable student"
    )
    assert found == sorted(found)
    assert "chosen   precision" in (tmp_path / "run" / "log.txt").read_text()


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_run_evaluated_again_gives_its_own_results(precision: str, tmp_path: Path) -> None:
    run: dict[str, Any] = {**SMALL, "precision": precision, "ema": 0.9}
    result = train(**run, model="resnet8", epochs=2, out=tmp_path / "run")
    again = evaluate(model=str(tmp_path / "run"), device="cpu")
    assert again["precision"] == precision
    assert (again["split"], again["top1"], again["top5"]) == (result.split, result.top1, result.top5)
    validated = evaluate(model=str(tmp_path / "run"), split="validation", device="cpu")
    assert validated["top1"] == result.validation_top1
    other = evaluate(model=str(tmp_path / "run"), device="cpu", precision="fp32" if precision == "bf16" else "bf16")
    assert other["loss"] != again["loss"]
