"""Every method, with its settings from words, in a whole run: what is trained, and what is left on disk."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from harness.runs import SMALL
from harness.teachers import train_teachers
from tutelage import create_model, distill, evaluate, train
from tutelage.models import parameter_count, weights_hash

RUN: dict[str, Any] = {**SMALL, "batch_size": 64, "optimizer": {}}


@pytest.fixture(scope="module")
def teachers(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two runs of a teacher, short ones."""
    return train_teachers(tmp_path_factory.mktemp("teachers"), RUN, epochs=2)


CASES: list[tuple[str, dict[str, Any], list[str]]] = [
    ("nst", {"nst": {"kernel": "gaussian"}}, ["train"]),
    ("fsp", {"fsp": {"epochs": 2, "form": "mean", "optimizer": {"name": "sgd", "lr": 0.01}}}, ["fsp", "task"]),
    ("ofd", {"schedule": {"name": "step", "milestones": [1, 2], "restart": True}}, ["train"]),
    ("at_gradient", {}, ["train"]),
    ("kd+at", {"at": {"final_weight": 0.0}}, ["train"]),
    ("feature_maps", {"feature_maps": {"form": "block_at_a_time", "count": 2, "last": "kd"}}, ["map1", "map2", "task"]),
    ("fitnets", {"fitnets": {"regressor": "paper", "form": "paper", "hint_schedule": "constant"}}, ["hint", "kd"]),
]


# The others are trained in other tests too.
QUICK = ("ofd", "fitnets")


@pytest.mark.parametrize(
    ("method", "settings", "stages"),
    [pytest.param(*case, id=case[0], marks=[pytest.mark.chaos] * (case[0] not in QUICK)) for case in CASES],
)
def test_a_run_of_each_method(
    method: str, settings: dict[str, Any], stages: list[str], teachers: list[Path], tmp_path: Path
) -> None:
    before = weights_hash(create_model(str(teachers[0])))
    run: dict[str, Any] = {**RUN, "teacher": str(teachers[0]), "student": "resnet8", "method": method, "epochs": 3}
    result = distill(**run, **settings, out=tmp_path / "run")
    assert result.status == "finished" and result.epochs == 3 and 0 < result.top1 <= 100
    records = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert list(dict.fromkeys(record["stage"] for record in records)) == stages
    saved = load_file(tmp_path / "run" / "student" / "model.safetensors")
    assert saved.keys() == create_model("resnet8", 10).state_dict().keys()
    assert all(torch.isfinite(value).all() for value in saved.values())
    assert weights_hash(create_model(str(teachers[0]))) == before


def test_what_a_method_adds_is_deployed(
    teachers: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run: dict[str, Any] = {**RUN, "teacher": str(teachers[0]), "epochs": 1}
    result = distill(**run, student="resnet8", method="simkd", out=tmp_path / "run")
    added = "+13,568 parameters"  # the projector's; the classifier is as large as the student's own
    assert f"its projector and the teacher's classifier: {added}" in capsys.readouterr().out
    assert result.added_parameters == 13_568 and result.top1 == evaluate(model=str(tmp_path / "run"))["top1"]
    student, teacher = create_model(str(tmp_path / "run")), create_model(str(teachers[0]))
    assert parameter_count(student) == result.parameters == parameter_count(create_model("resnet8", 10)) + 13_568
    assert torch.equal(student.fc.weight, teacher.fc.weight) and torch.equal(student.fc.bias, teacher.fc.bias)
    continued = distill(**run, student=str(tmp_path / "run"), method="kd", out=tmp_path / "next")
    assert (continued.parameters, continued.added_parameters) == (result.parameters, 0)


def test_several_teachers_by_a_list(teachers: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = [str(path) for path in teachers]
    run: dict[str, Any] = {**RUN, "teacher": names, "student": "resnet8", "method": "kd", "epochs": 1}
    result = distill(**run, kd={"ensemble": "probabilities"}, out=tmp_path / "run")
    assert result.teacher == "resnet14 + resnet14"
    assert result.teacher_parameters == 2 * sum(p.numel() for p in create_model("resnet14", 10).parameters())
    assert "(together)" in capsys.readouterr().out
    members = json.loads((tmp_path / "run" / "teacher.json").read_text())["members"]
    assert [member["weights_sha256"] for member in members] == [weights_hash(create_model(name)) for name in names]
    assert "name:\n  - " in (tmp_path / "run" / "config.yaml").read_text()


def test_validation_may_be_looked_at_seldom(teachers: list[Path], tmp_path: Path) -> None:
    train(**RUN, model="resnet8", epochs=5, validate_every=2, out=tmp_path / "run")
    records = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [record["epoch"] for record in records if "val/top1" in record] == [2, 4, 5]
