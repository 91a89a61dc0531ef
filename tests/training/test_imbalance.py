"""Rare classes, one class, and batches of one image."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from harness.runs import SMALL
from tutelage import TutelageError, distill, resume, train
from tutelage.config import TrainSettings, load
from tutelage.data import DataSettings, TrainLoader, load_digits, open_data
from tutelage.distillation import task_loss
from tutelage.models import create_model, save_model
from tutelage.runs import Checkpoint
from tutelage.runs.folder import RunFolder
from tutelage.training.job.checks import weigh_classes
from tutelage.training.job.job import build_job

RUN = {**SMALL, "model": "resnet8", "batch_size": 12}


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TUTELAGE_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


def put(root: Path, counts: dict[str, int], first: int = 0) -> Path:
    images, labels = load_digits()
    for digit, (name, count) in enumerate(counts.items()):
        (root / name).mkdir(parents=True)
        for i, grey in enumerate(images[labels == digit][first : first + count]):
            Image.fromarray((grey * 15.9).astype(np.uint8)).resize((16, 16)).save(root / name / f"{i:03}.png")
    return root


@pytest.fixture(scope="module")
def rare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data") / "rare"
    put(root / "train", {"normal": 120, "defect": 4})
    put(root / "test", {"normal": 40, "defect": 8}, 130)
    return root


def test_a_single_class_is_refused_before_training(tmp_path: Path) -> None:
    put(tmp_path / "one", {"cat": 12})
    with pytest.raises(TutelageError, match="data=one has only one class, 'cat'"):
        train(**{**RUN, "data": str(tmp_path / "one")}, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


ONE = {
    "batch_size": ({"batch_size": 1}, "batch_size=1 is one image, .*; set batch_size=2 or more"),
    "accumulate": (
        {"batch_size": 8, "accumulate": 5},
        "accumulate=5 splits batches of batch_size=8 into single images",
    ),
    "data": ({"batch_size": 8, "data": {"name": "digits", "fraction": 0.0001}}, None),
}


@pytest.mark.parametrize("settings, message", ONE.values(), ids=ONE)
def test_batch_normalization_of_one_value_is_found_before_training(
    tmp_path: Path, settings: dict[str, Any], message: str | None
) -> None:
    """resnet8 keeps 4×4 positions at the end, so that one image is enough for it; test_resnet's last map has one."""
    values = {**RUN, **settings, "out": tmp_path / "run"}
    before = build_job(load(TrainSettings, values)).student.state_dict()
    assert all(torch.equal(value, other) for value, other in zip(before.values(), create_model_state(values)))
    if message is not None:
        with pytest.raises(TutelageError, match=message):
            train(**{**values, "model": "timm/test_resnet"})
        assert not (tmp_path / "run").exists()


def create_model_state(values: dict[str, Any]) -> list[torch.Tensor]:
    """The same student under a batch for which nothing is tried."""
    other = {**values, "batch_size": 64, "accumulate": 1}
    return list(build_job(load(TrainSettings, other)).student.state_dict().values())


def test_class_weights_multiply_the_terms_of_the_cross_entropy() -> None:
    draw = torch.Generator().manual_seed(0)
    logits = torch.randn(7, 3, generator=draw, dtype=torch.float64, requires_grad=True)
    labels = torch.tensor([0, 1, 2, 2, -1, 0, 1])
    weights = torch.tensor([0.5, 2.0, 3.0], dtype=torch.float64)
    expected = sum(-float(weights[y]) * F.log_softmax(row, 0)[y] for row, y in zip(logits, labels) if y >= 0) / 6
    assert torch.allclose(task_loss(logits, labels, 0.0, weights), expected)
    soft = F.one_hot(labels.clamp(min=0), 3) * (labels >= 0)[:, None].double()
    assert torch.allclose(task_loss(logits, soft, 0.1, weights), task_loss(logits, labels, 0.1, weights))
    parts = [task_loss(logits[own], labels[own], 0.0, weights) for own in (slice(0, 3), slice(3, 7))]
    assert torch.allclose(torch.stack(parts).mean(), expected)
    assert torch.autograd.gradcheck(lambda x: task_loss(x, labels, 0.1, weights), logits)


def test_balanced_weights_and_wrong_ones(rare: Path) -> None:
    data = open_data(DataSettings(name=str(rare), validation=0))
    settings = load(TrainSettings, {**RUN, "data": str(rare), "class_weights": "balanced"})
    assert weigh_classes(settings, data) == pytest.approx([124 / 8, 124 / 240])  # defect, normal
    with pytest.raises(
        TutelageError, match="class_weights has 3 values, .* 2 classes; set one per class, in the order"
    ):
        train(**{**RUN, "data": str(rare)}, class_weights=[1, 2, 3])
    with pytest.raises(TutelageError, match="already balances the classes"):
        train(**{**RUN, "data": {"name": str(rare), "sampling": "balanced"}}, class_weights="balanced")


def test_balanced_sampling_shows_classes_equally_often_and_all_images_in_turn(rare: Path) -> None:
    data = open_data(DataSettings(name=str(rare), validation=0, sampling="balanced"))
    epochs = [list(TrainLoader(data.train, 31, seed=0).epoch(epoch)) for epoch in range(5)]
    for batches in epochs:
        assert torch.cat([batch.labels for batch in batches]).bincount().tolist() == [62, 62]
    assert len({int(i) for batches in epochs for batch in batches for i in batch.index}) > 110
    halves = [[batch.index for batch in TrainLoader(data.train, 30, 0, rank, 2).epoch(0)] for rank in (0, 1)]
    whole = [batch.index for batch in TrainLoader(data.train, 30, 0).epoch(0)]
    assert all(torch.equal(torch.cat(pair), one) for pair, one in zip(zip(*halves), whole))
    unlabelled = open_data(DataSettings(name=str(rare), validation=0, sampling="balanced", labelled=0.5))
    labels = torch.cat([batch.labels for batch in TrainLoader(unlabelled.train, 31, 0).epoch(0)])
    assert (labels + 1).bincount().tolist() == [62, 31, 31]


@pytest.mark.parametrize(
    "settings", [{"class_weights": "balanced"}, pytest.param({"sampling": "balanced"}, marks=pytest.mark.chaos)]
)
def test_balanced_runs_resume_exactly_and_report_balanced_accuracy(
    rare: Path, tmp_path: Path, settings: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = {"name": str(rare), "flip": False} | {k: v for k, v in settings.items() if k == "sampling"}
    other = {k: v for k, v in settings.items() if k != "sampling"}
    values = {**RUN, **other, "data": data, "epochs": 2}
    whole = train(**values, out=tmp_path / "whole")
    save = RunFolder.save_checkpoint

    def stop(folder: RunFolder, checkpoint: Checkpoint) -> None:
        save(folder, checkpoint)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(RunFolder, "save_checkpoint", stop)
        train(**values, out=tmp_path / "cut")
    result = resume(tmp_path / "cut")
    weights = [create_model(str(tmp_path / name)).state_dict() for name in ("whole", "cut")]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    assert result.balanced_top1 == whole.balanced_top1 and result.majority == pytest.approx(100 * 40 / 48)


def test_a_teacher_that_always_says_normal_does_not_pass(
    rare: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    teacher = create_model("resnet8", 2)
    with torch.no_grad():
        teacher.fc.weight.zero_()  # type: ignore[union-attr]
        teacher.fc.bias.copy_(torch.tensor([-1.0, 1.0]))  # type: ignore[union-attr]
    save_model(teacher, tmp_path / "teacher", teacher.spec)  # type: ignore[arg-type]
    values = {**SMALL, "data": str(rare), "batch_size": 12, "student": "resnet8", "epochs": 1}
    with pytest.warns(UserWarning, match=r"reaches .* \(50.00 % balanced .*always predicting the most frequent class"):
        result = distill(**values, teacher=tmp_path / "teacher", out=tmp_path / "run")
    assert result.balanced_top1 is not None and result.majority == pytest.approx(100 * 40 / 48)
    log = (tmp_path / "run" / "log.txt").read_text()
    assert "% are normal" in log and "balanced over the classes; always the most frequent class: 83.33 %" in log
