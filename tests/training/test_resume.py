"""A run that is killed between or within stages and resumed ends bit for bit as one that was not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from harness.processes import kill_after
from harness.runs import SMALL, STEPS
from tutelage import TutelageError, distill, resume, train
from tutelage.runs.folder import RunFolder
from tutelage.training.loop.step import Step


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("teacher") / "run"
    train(model="resnet14", epochs=2, out=out, **SMALL)
    return out


def measured(folder: Path) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if not key.startswith("time/")} for line in lines]


@pytest.mark.chaos
@pytest.mark.parametrize(
    ("method", "killed_after", "more"),
    [
        ("fitnets", [1, 3], {}),
        ("feature_maps", [2], {"feature_maps": {"form": "block_at_a_time", "count": 2}}),
        ("crd", [2], {"data": SMALL["data"], "crd": {"negatives": 50}, "checkpoint_minutes": 0}),
        ("semckd", [2], {"checkpoint_minutes": 0}),
        ("kd+simkd", [2], {"ema": 0.9}),
        ("norm", [1], {}),
    ],
    ids=[
        "between stages and in the second",
        "frozen blocks",
        "banks within an epoch",
        "attention within an epoch",
        "a frozen classifier and an average",
        "inserted parts",
    ],
)
def test_killed_and_resumed_is_the_same(
    method: str, killed_after: list[int], more: dict[str, Any], teacher: Path, tmp_path: Path
) -> None:
    data = {**SMALL["data"], "mixup": 0.8, "cutmix": 1.0, "mix_probability": 0.9, "randaugment": 1}
    run = {"data": data, "teacher": str(teacher), "student": "resnet8", "method": method, "epochs": 4}
    settings = {**SMALL, **run, **more}
    whole = distill(**settings, out=tmp_path / "whole")
    for epochs in killed_after:
        folder = tmp_path / f"killed after {epochs}"
        kill_after(epochs * STEPS + 2, Step, "__call__", "distill", {**settings, "out": str(folder)})
        assert len(measured(folder)) == epochs
        assert not (folder / "result.json").exists()
        resumed = resume(folder)
        assert measured(folder) == measured(tmp_path / "whole")
        weights = "student/model.safetensors"
        assert (folder / weights).read_bytes() == (tmp_path / "whole" / weights).read_bytes()
        assert (resumed.top1, resumed.best_top1, resumed.best_epoch) == (whole.top1, whole.best_top1, whole.best_epoch)


def test_only_an_unfinished_run_is_resumed(teacher: Path, tmp_path: Path) -> None:
    with pytest.raises(TutelageError, match="is finished"):
        resume(teacher)
    with pytest.raises(TutelageError, match="not a run folder"):
        resume(tmp_path)


def test_a_loss_that_is_not_finite_stops_and_keeps_the_last_good_checkpoint(tmp_path: Path) -> None:
    explosion = {"name": "step", "milestones": [1], "gamma": 1e30}
    with pytest.raises(TutelageError, match="not finite: ce, in stage train, epoch 2"):
        train(model="resnet8", epochs=3, out=tmp_path / "run", schedule=explosion, **SMALL)
    state, _ = RunFolder(tmp_path / "run").load_checkpoint()
    assert state is not None
    assert state.progress.epoch == 1
    assert all(torch.isfinite(value).all() for value in state.student.values() if value.is_floating_point())
    assert len(measured(tmp_path / "run")) == 1


def test_a_term_that_is_not_finite_is_named(teacher: Path, tmp_path: Path) -> None:
    with pytest.raises(TutelageError, match="not finite: hint.layer2, in stage hint"):
        distill(
            **SMALL,
            teacher=teacher,
            student="resnet8",
            method="fitnets",
            epochs=3,
            out=tmp_path / "run",
            fitnets={"hint_optimizer": {"lr": 1e30}},
        )
