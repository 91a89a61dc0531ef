"""Run folders of version 0.1, as it wrote them: they are evaluated, taught from, reported and resumed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch.nn as nn
from torch import Tensor

import tutelage
from tutelage.config import DistillSettings, load
from tutelage.errors import TutelageError
from tutelage.models.own.register import networks
from tutelage.report import write_report

FIXTURE = Path(__file__).parent / "runs_of_0_1"
TOP1_OF_0_1 = {"teacher": 10.31, "student": 13.93}
"""What 0.1 reached on the test images, resuming the same run."""


class Tiny(nn.Module):
    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, 2, 1, bias=False)
        self.bn = nn.BatchNorm2d(8)
        self.relu = nn.ReLU()
        self.fc = nn.Linear(8, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        return self.fc(self.relu(self.bn(self.conv(images))).mean((2, 3)))


@pytest.fixture
def old_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the folders, as the current folder: their paths are relative."""
    if "tiny" not in list(networks):
        networks.register("tiny")(Tiny)
    shutil.copytree(FIXTURE, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_stopped_run_goes_on_as_0_1_would(old_runs: Path) -> None:
    tutelage.resume("run")
    result = json.loads((old_runs / "run" / "result.json").read_text("utf-8"))
    # One image of 359 is 0.28; other processors round otherwise.
    assert result["top1"] == pytest.approx(TOP1_OF_0_1["student"], abs=0.6)
    lines = [json.loads(line) for line in (old_runs / "run" / "metrics.jsonl").read_text("utf-8").splitlines()]
    assert [line["stage"] for line in lines] == ["hint", "hint", "kd"]
    assert lines[1]["train/loss"] == pytest.approx(23.3734, rel=1e-3)


def test_a_finished_run_is_evaluated_and_reported(old_runs: Path) -> None:
    figures = tutelage.evaluate(model="teacher", data="digits", device="cpu")
    assert figures["top1"] == pytest.approx(TOP1_OF_0_1["teacher"], abs=0.6)
    assert write_report("teacher").is_file()
    with pytest.raises(TutelageError, match="model=teacher"):
        tutelage.resume("teacher")


def test_settings_of_0_1_start_a_new_run(old_runs: Path) -> None:
    settings = load(DistillSettings, old_runs / "run" / "config.yaml", "out=again")
    assert settings.optimizer.name == "sgd" and settings.fitnets.hint_epochs == 2  # type: ignore[attr-defined]
    assert str(settings.out) == "again"
