"""What is left to ``auto`` is settled before the run, and written down."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from torch._dynamo.utils import counters

from harness.steps import watch
from tutelage import TutelageError, distill, train
from tutelage.config import DistillSettings, TrainSettings, load
from tutelage.training import fill_cache
from tutelage.training.job.job import build_job
from tutelage.training.tuning.cost import Lengths, Pace
from tutelage.training.tuning.tuning import tune

RUN: dict[str, Any] = {
    "data": {"name": "digits", "fraction": 0.1},
    "batch_size": 26,
    "optimizer": {"name": "sgd", "lr": 0.02},
    "device": "cpu",
    "loggers": [],
}


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("teacher") / "run"
    train(**RUN, model="resnet8", epochs=2, precision="fp32", compile="off", out=folder)
    return str(folder)


@pytest.fixture
def pair(teacher: str) -> dict[str, Any]:
    return {**RUN, "teacher": teacher, "student": "resnet8", "method": "kd", "epochs": 1}


def compiled() -> int:
    """Returns how many graphs were compiled in this process so far."""
    return int(counters["stats"]["unique_graphs"])


def test_half_precision_without_a_gpu_is_refused_before_the_run(pair: dict[str, Any], tmp_path: Path) -> None:
    message = "precision=fp16 needs a GPU, and this run is on the CPU; set precision=auto, bf16 or fp32"
    for compile in ("auto", "off"):
        with pytest.raises(TutelageError, match=message):
            distill(**pair, precision="fp16", compile=compile, out=tmp_path / "run")
    with pytest.raises(TutelageError, match=message):
        train(**RUN, model="resnet8", precision="fp16", out=tmp_path / "run")
    with pytest.raises(TutelageError, match=message):
        fill_cache(**pair, precision="fp16", cache={"views": 1, "folder": tmp_path / "cache"})
    assert not list(tmp_path.iterdir())


def test_a_short_run_compiles_nothing_and_its_config_says_so(pair: dict[str, Any], tmp_path: Path) -> None:
    before = compiled()
    result = distill(**pair, out=tmp_path / "run")
    assert compiled() == before
    config = yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())
    assert config["compile"] == "off"
    assert config["precision"] == result.precision
    assert config["precision"] in ("fp32", "bf16")


def test_a_short_run_is_not_tried_and_its_plan_says_so(pair: dict[str, Any]) -> None:
    tuned = tune(build_job(load(DistillSettings, pair)))
    assert (tuned.job.settings.precision, tuned.job.settings.compile) == ("fp32", "off")
    assert len(tuned.lines) == 1 and "too short for a trial" in tuned.lines[0]


def test_a_longer_run_is_tried_and_its_cost_estimated(pair: dict[str, Any]) -> None:
    tuned = tune(build_job(load(DistillSettings, {**pair, "epochs": 60, "compile": "off"})))
    chosen, cost = tuned.lines
    assert tuned.job.settings.precision in chosen and "compile off (as set)" in chosen
    assert re.fullmatch(r"cost     about .* per epoch, .* per validation, .* in all; checkpoints [\d.]+ MB", cost)


def test_the_cost_of_a_run_is_the_sum_of_its_parts(pair: dict[str, Any]) -> None:
    settings = {**pair, "epochs": 4, "cache": {"views": 1}, "validate_every": 3}
    lengths = Lengths.of(build_job(load(DistillSettings, settings)))
    assert lengths == Lengths(steps=20, taught=5, validations=2, validated=6)  # 130, and 145 for validation, by 26
    pace = Pace(step=3.0, teacher=1.0, data=0.5)
    assert pace.training(lengths) == 20 * 2.5 + 5 * 1.0
    assert pace.validation(lengths) == pytest.approx(6 * (2 / 3 + 0.5))


def test_what_is_given_stays(pair: dict[str, Any]) -> None:
    for given in ({"precision": "bf16"}, {"compile": "both"}, {"precision": "fp32", "compile": "off"}):
        settings = tune(build_job(load(DistillSettings, {**pair, **given}))).job.settings
        assert {key: getattr(settings, key) for key in given} == given
        assert "auto" not in (settings.precision, settings.compile)


def test_trials_leave_no_trace(pair: dict[str, Any], tmp_path: Path) -> None:
    given = watch(**pair, precision="fp32", compile="off", out=tmp_path / "given")[1]
    tried = watch(**pair, precision="fp32", compile="auto", out=tmp_path / "tried")[1]
    assert tried.losses == given.losses
    assert all(torch.equal(value, given.students[-1][name]) for name, value in tried.students[-1].items())


@pytest.mark.chaos
def test_a_staged_method_is_tuned_and_starts_in_its_first_stage(pair: dict[str, Any], tmp_path: Path) -> None:
    job = tune(build_job(load(DistillSettings, {**pair, "method": "fitnets", "epochs": 2}))).job
    assert job.settings.compile == "off"
    distill(**{**pair, "method": "fitnets", "epochs": 2}, out=tmp_path / "run")
    stages = [line.split()[0] for line in (tmp_path / "run" / "log.txt").read_text().splitlines() if " epoch " in line]
    assert stages == ["hint", "kd"]


def test_settled_values_can_be_run_again(tmp_path: Path) -> None:
    train(**RUN, model="resnet8", epochs=1, out=tmp_path / "run")
    settings = load(TrainSettings, tmp_path / "run" / "config.yaml")
    assert "auto" not in (settings.precision, settings.compile)
    assert tune(build_job(settings)).job.settings.model_dump() == settings.model_dump()


def test_what_is_differentiated_twice_is_not_compiled(pair: dict[str, Any], tmp_path: Path) -> None:
    before = compiled()
    fit, seen = watch(**{**pair, "method": "at_gradient"}, precision="fp32", compile="both", out=tmp_path / "run")
    assert compiled() == before
    assert len(seen.losses) == 5


@pytest.mark.chaos
def test_a_compiled_teacher_teaches_the_same(pair: dict[str, Any], tmp_path: Path) -> None:
    off = watch(**pair, precision="fp32", compile="off", out=tmp_path / "off")[1]
    before = compiled()
    teacher = watch(**pair, precision="fp32", compile="teacher", out=tmp_path / "teacher")[1]
    assert compiled() == before + 1
    assert teacher.losses == pytest.approx(off.losses, rel=1e-4)
