"""Killed at any moment, the writing of checkpoints included, a run ends bit for bit as one that was left alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from harness.chaos import OFTEN, run_and_kill
from harness.runs import SMALL
from tutelage import distill, train

RUN: dict[str, Any] = {**SMALL, "data": {**SMALL["data"], "mixup": 0.8, "mix_probability": 0.5}}
STEPS = 5
"""Steps an epoch."""
RESTARTED = {"name": "step", "milestones": [1, 2], "restart": True}
CASES: dict[str, dict[str, Any]] = {
    "one stage": {"method": "kd+at", "at.final_weight": 0.0, "epochs": 3, "precision": "fp32", "ema": 0.9},
    "two stages, half precision": {"method": "fitnets", "epochs": 3, "precision": "bf16"},
    "overhaul, restarts": {"method": "kd+ofd", "epochs": 3, "precision": "fp32", "schedule": RESTARTED},
}
STORED: dict[str, dict[str, Any]] = {
    "one stage, stored targets": {"method": "kd", "epochs": 3, "precision": "fp32", "cache": {"views": 2}},
    "two stages, stored targets, half precision": {
        "method": "fitnets",
        "epochs": 3,
        "precision": "bf16",
        "cache": {"views": 2, "features": True},
    },
}


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("teacher") / "run"
    train(**RUN, model="resnet14", epochs=2, out=out)
    return out


def measured(folder: Path) -> list[dict[str, Any]]:
    """The metrics, without times; and without how much was stored, which a run finds that its killed part left."""
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if key[:5] not in ("time/", "cache")} for line in lines]


def survives(case: dict[str, Any], teacher: Path, folder: Path, kills: int, seed: int) -> int:
    """Trains once in peace and once under fire, compares, and returns how often the second was killed."""
    data = {**RUN["data"], "mixup": 0.0} if "cache" in case else RUN["data"]
    settings = {**RUN, **case, "data": data, "teacher": str(teacher), "student": "resnet8"}
    if "cache" in case:
        settings["cache"] = {**case["cache"], "folder": str(folder / "killed targets")}
    killed = run_and_kill(settings, folder / "killed", kills, seed, STEPS * case["epochs"])
    if "cache" in case:
        settings["cache"] = {**case["cache"], "folder": str(folder / "targets")}
    whole = distill(**settings, **OFTEN, out=folder / "whole")
    assert measured(folder / "killed") == measured(folder / "whole")
    weights = "student/model.safetensors"
    assert (folder / "killed" / weights).read_bytes() == (folder / "whole" / weights).read_bytes()
    left = json.loads((folder / "killed" / "result.json").read_text())
    assert (left["top1"], left["best_top1"]) == (whole.top1, whole.best_top1)
    return killed


@pytest.mark.chaos
@pytest.mark.parametrize("name", CASES | STORED)
def test_twenty_kills(name: str, teacher: Path, tmp_path: Path) -> None:
    case = {**(CASES | STORED)[name], "epochs": 6}
    killed = survives(case, teacher, tmp_path, 20, 1)
    print(f"{name}: survived {killed} kills")
    assert killed == 20
