"""A run that is killed and resumed ends bit for bit as one that was not."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from tutelage import TutelageError, distill, resume, train

BUDGET: dict[str, Any] = {
    "data": "digits",
    "batch_size": 256,
    "precision": "fp32",
    "device": "cpu",
    "optimizer": {"lr": 0.05},
}


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("teacher") / "run"
    train(model="resnet14", epochs=2, out=out, **BUDGET)
    return out


def words(settings: dict[str, Any]) -> list[str]:
    return [f"{key}={json.dumps(value) if isinstance(value, dict) else value}" for key, value in settings.items()]


def kill_after(epoch: int, settings: dict[str, Any]) -> None:
    """Starts the run in a process of its own and kills it once that epoch's line is out."""
    command = [sys.executable, "-c", "from tutelage.cli import main; main()", "distill", *words(settings)]
    environment = {**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if f"epoch {epoch:>3} " in line:
                process.send_signal(signal.SIGKILL)
                return
        raise AssertionError(f"the run ended before epoch {epoch}")


def measured(folder: Path) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if not key.startswith("time/")} for line in lines]


RESTARTED = {"name": "step", "milestones": [1, 3], "restart": True}


@pytest.mark.parametrize(
    ("method", "killed_after", "more"),
    [
        ("kd+at", 2, {"at.final_weight": 0.0}),
        ("kd+ofd", 2, {"schedule": RESTARTED}),
        ("fitnets", 1, {}),
        ("fitnets", 3, {}),
        ("feature_maps", 2, {"feature_maps": {"form": "block_at_a_time", "count": 2}}),
    ],
    ids=["one stage", "margins and restarts", "between stages", "second stage", "frozen blocks"],
)
def test_killed_and_resumed_is_the_same(
    method: str, killed_after: int, more: dict[str, Any], teacher: Path, tmp_path: Path
) -> None:
    data = {"name": "digits", "mixup": 0.8, "cutmix": 1.0, "mix_probability": 0.9, "randaugment": 1}
    run = {"data": data, "teacher": str(teacher), "student": "resnet8", "method": method, "epochs": 4}
    settings = {**BUDGET, **run, **more}
    whole = distill(**settings, out=tmp_path / "whole")
    kill_after(killed_after, {**settings, "out": str(tmp_path / "killed")})
    assert not (tmp_path / "killed" / "result.json").exists()
    resumed = resume(tmp_path / "killed")
    assert measured(tmp_path / "killed") == measured(tmp_path / "whole")
    weights = "student/model.safetensors"
    assert (tmp_path / "killed" / weights).read_bytes() == (tmp_path / "whole" / weights).read_bytes()
    assert (resumed.top1, resumed.best_top1, resumed.best_epoch) == (whole.top1, whole.best_top1, whole.best_epoch)


def test_only_an_unfinished_run_is_resumed(teacher: Path, tmp_path: Path) -> None:
    with pytest.raises(TutelageError, match="is finished"):
        resume(teacher)
    with pytest.raises(TutelageError, match="not a run folder"):
        resume(tmp_path)


def test_a_loss_that_is_not_finite_stops_and_keeps_the_last_good_checkpoint(tmp_path: Path) -> None:
    explosion = {"name": "step", "milestones": [1], "gamma": 1e30}
    with pytest.raises(TutelageError, match="stage train, epoch 2: ce"):
        train(model="resnet8", epochs=3, out=tmp_path / "run", schedule=explosion, **BUDGET)
    state = torch.load(tmp_path / "run" / "checkpoints" / "last", weights_only=True)
    assert state["progress"]["epoch"] == 1
    assert all(torch.isfinite(value).all() for value in state["student"].values() if value.is_floating_point())
    assert len(measured(tmp_path / "run")) == 1


def test_a_term_that_is_not_finite_is_named(teacher: Path, tmp_path: Path) -> None:
    with pytest.raises(TutelageError, match="stage hint.*hint.layer2"):
        distill(
            **BUDGET,
            teacher=teacher,
            student="resnet8",
            method="fitnets",
            epochs=3,
            out=tmp_path / "run",
            fitnets={"hint_optimizer": {"lr": 1e30}},
        )
