"""End to end on real images, small: what is learnt is better than chance, and what is written loads again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch

import tutelage
from tutelage.models import create_model

FAST: dict[str, Any] = {"precision": "fp32", "device": "cpu", "schedule": "one_cycle", "batch_size": 64}


def part_of(source: Path, folder: Path, **rows: int) -> str:
    """Writes some rows of each split of a parquet folder, evenly spread, as a parquet folder of its own."""
    for split, count in rows.items():
        table = pq.read_table(next(source.glob(f"{split}-*.parquet")))
        spread = range(0, len(table), len(table) // count)
        pq.write_table(table.take(list(spread)[:count]), folder / f"{split}-00000-of-00001.parquet")
    return str(folder)


def test_cifar_from_folder_to_student(real_data: Path, tmp_path: Path) -> None:
    (tmp_path / "cifar").mkdir()
    data = part_of(real_data / "cifar10-jpeg", tmp_path / "cifar", train=640, test=200)
    teacher, budget = tmp_path / "teacher", {**FAST, "batch_size": 32, "epochs": 2}
    tutelage.train(data=data, model="resnet14", out=teacher, **budget)
    result = tutelage.distill(
        data=data, teacher=teacher, student="resnet8", method="kd+at", out=tmp_path / "run", **budget
    )
    assert result.split == "test" and result.top1 > 15
    assert result.teacher_top1 is not None and result.agreement is not None
    files = {path.name for path in (tmp_path / "run").iterdir()}
    assert files >= {
        *("config.yaml", "environment.json", "classes.json", "split.json", "teacher.json"),
        *("log.txt", "metrics.jsonl", "checkpoints", "student", "result.json"),
    }
    assert json.loads((tmp_path / "run" / "classes.json").read_text())[0] == "airplane"
    assert any(path.name.startswith("events") for path in (tmp_path / "run").rglob("events*"))
    again = tutelage.evaluate(model=str(tmp_path / "run"), device="cpu")
    assert again["top1"] == pytest.approx(result.top1)
    student = create_model(str(tmp_path / "run"))
    assert student.spec.classes[:2] == ("airplane", "automobile")
    assert not any("connector" in name or "teacher" in name for name in student.state_dict())
    assert student(torch.rand(1, 3, 32, 32)).shape == (1, 10)


@pytest.mark.chaos
def test_a_timm_teacher_and_a_torchvision_student_with_no_taps_given(real_data: Path, tmp_path: Path) -> None:
    (tmp_path / "imagenette").mkdir()
    data = {
        "name": part_of(real_data / "imagenette", tmp_path / "imagenette", train=200, validation=100),
        "size": 64,
        "workers": 1,
    }
    small = {**FAST, "batch_size": 32, "epochs": 1}
    tutelage.train(data=data, model="timm/test_resnet", out=tmp_path / "teacher", **small)
    result = tutelage.distill(
        data=data,
        teacher=tmp_path / "teacher",
        student="torchvision/mobilenet_v3_small",
        method="kd+at",
        out=tmp_path / "student",
        **small,
    )
    record = json.loads((tmp_path / "student" / "metrics.jsonl").read_text())
    terms = [key for key in record if key.startswith("train/at.")]
    assert len(terms) >= 2 and all(record[key] > 0 for key in terms)
    assert result.split == "validation" and 0 <= result.top1 <= 100
