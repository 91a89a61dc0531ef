"""The options of a run do what they say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from harness.cases import BY_NAME, batch, build
from harness.runs import SMALL
from tutelage import TutelageError, distill, train
from tutelage.distillation.distiller import task_loss
from tutelage.terms import Optimizer
from tutelage.training.loop.optimizer import build_optimizer

RUN: dict[str, Any] = {**SMALL, "model": "resnet8", "epochs": 2, "batch_size": 64, "optimizer": {}}


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "student" / "model.safetensors")


def records(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_the_same_seed_gives_the_same_weights_and_another_does_not(tmp_path: Path) -> None:
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        train(**RUN, seed=seed, out=tmp_path / name)
    a, b, c = (weights(tmp_path / name) for name in "abc")
    assert all(torch.equal(a[key], b[key]) for key in a)
    assert not torch.equal(a["fc.weight"], c["fc.weight"])


def test_clipping_bounds_the_step(tmp_path: Path) -> None:
    plain = {
        **RUN,
        "epochs": 1,
        "batch_size": 512,
        "optimizer": {"name": "sgd", "lr": 1.0, "momentum": 0, "weight_decay": 0},
    }
    train(**plain, schedule="constant", clip=1e-3, out=tmp_path / "clipped")
    train(**{**plain, "optimizer": {"name": "sgd", "lr": 1e-9}}, schedule="constant", out=tmp_path / "still")
    clipped, still = weights(tmp_path / "clipped"), weights(tmp_path / "still")
    moved = sum(
        ((clipped[key] - still[key]) ** 2).sum() for key in clipped if "running" not in key and "num" not in key
    )
    assert float(moved) ** 0.5 == pytest.approx(1e-3, rel=0.02)


def test_bf16_trains_and_says_so(tmp_path: Path) -> None:
    result = train(**{**RUN, "precision": "bf16"}, out=tmp_path / "run")
    assert result.precision == "bf16"
    assert all(value.dtype != torch.bfloat16 for value in weights(tmp_path / "run").values())
    assert all(0 < record["train/loss"] < 10 for record in records(tmp_path / "run"))


@pytest.mark.chaos
def test_adamw_with_warmup_learns(tmp_path: Path) -> None:
    optimizer = {"name": "adamw", "lr": 3e-3}
    run = {**RUN, "epochs": 6, "batch_size": 32, "optimizer": optimizer, "schedule": {"name": "cosine", "warmup": 1}}
    train(**run, label_smoothing=0.1, out=tmp_path / "run")
    losses = [record["train/ce"] for record in records(tmp_path / "run")]
    assert losses[-1] < losses[0] * 0.8


def test_label_smoothing_is_torchs() -> None:
    logits, labels = torch.randn(6, 4), torch.tensor([0, 1, 2, 3, -1, -1])
    expected = torch.nn.functional.cross_entropy(logits[:4], labels[:4], label_smoothing=0.2)
    torch.testing.assert_close(task_loss(logits, labels, 0.2), expected)


@pytest.mark.parametrize("name", ["sgd", "adamw"])
def test_the_optimiser_holds_student_and_connectors_and_not_the_teacher(name: str) -> None:
    distiller = build(BY_NAME["fitnets-joint"])  # its hints have connectors
    optimizer = build_optimizer(distiller.parameters(), Optimizer(name=name))
    held = {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}
    assert held == {id(p) for p in distiller.student.parameters()} | {id(p) for p in distiller.terms.parameters()}
    distiller.train()(*batch()).loss.backward()
    before = [p.detach().clone() for p in distiller.terms.parameters()]
    optimizer.step()
    assert all(not torch.equal(old, new) for old, new in zip(before, distiller.terms.parameters()))


def test_a_batch_whose_samples_are_related_is_not_split(tmp_path: Path) -> None:
    settings = {"teacher": "resnet8", "student": "resnet8", "method": "kd+dist", "accumulate": 2}
    with pytest.raises(TutelageError, match="accumulate=2 splits each batch, but the term dist .*accumulate=1"):
        distill(data="digits", **settings, device="cpu", out=tmp_path / "run")


@pytest.mark.parametrize(("momentum", "same"), [(0.0, True), (0.9, False)])
def test_a_restart_forgets_the_momentum_and_nothing_else(momentum: float, same: bool, tmp_path: Path) -> None:
    for restart in (False, True):
        schedule = {"name": "step", "milestones": [1], "gamma": 1.0, "restart": restart}
        train(
            **{**RUN, "optimizer": {"name": "sgd", "momentum": momentum}},
            schedule=schedule,
            out=tmp_path / str(restart),
        )
    kept, restarted = weights(tmp_path / "False"), weights(tmp_path / "True")
    assert all(torch.equal(kept[name], restarted[name]) for name in kept) is same
