"""One step in parts is one step; the moving average is the average of what the steps made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from harness.cases import BY_NAME, batch, build, rebuilt
from harness.runs import SMALL
from harness.steps import Watch, watch
from tutelage import TutelageError, evaluate, train
from tutelage.distillation import TASK, Distiller
from tutelage.runs.folder import RunFolder
from tutelage.terms import Optimizer
from tutelage.training.engine import build_engine
from tutelage.training.loop.fit import Fit
from tutelage.training.loop.meters import Fault, Meters
from tutelage.training.loop.optimizer import build_optimizer
from tutelage.training.loop.step import Step

# In mode "batch" an OFD teacher gives for an image what depends on the others.
INDEPENDENT = [
    "none",
    "kd",
    "kd-ensemble-probabilities",
    "at",
    "at_gradient",
    "nst",
    "fsp",
    "ofd-eval",
    "fitnets-joint",
]
LR = 1e-4
WEIGHT = "student.layer1.0.conv1.weight"
RUN: dict[str, Any] = {**SMALL, "model": "resnet8"}


def exact(case: str) -> Distiller:
    """Returns a case's distiller in float64, without statistics of the batch."""
    return rebuilt(BY_NAME[case], torch.float64).eval()


def prepare(distiller: Distiller, **settings: Any) -> tuple[Step, Meters]:
    engine = build_engine("fp32", "cpu")
    optimizer = build_optimizer(distiller.parameters(), Optimizer(lr=0.1))
    module, prepared = engine.prepare(distiller, optimizer)
    names = [TASK] * (distiller.stage.task_weight > 0) + [term.name for term in distiller.stage.terms]
    return Step(engine, module, prepared, distiller.student, **settings), Meters(names, engine.device)


def state(module: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in module.state_dict().items()}


def stepped(case: str, images: Tensor, labels: Tensor, stored: bool = False, **settings: Any) -> dict[str, Tensor]:
    """Returns the state after two steps, the second of which sees the momentum of the first."""
    distiller = exact(case)
    before = state(distiller)
    step, meters = prepare(distiller, **settings)
    for _ in range(2):
        step(images, labels, distiller.targets(images, labels) if stored else None, meters, LR)
    assert meters.fault() is None
    after = state(distiller)
    assert not torch.allclose(after[WEIGHT], before[WEIGHT], rtol=1e-6)
    return after


def assert_same(states: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    for name, value in states.items():
        torch.testing.assert_close(value, expected[name], rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("case", INDEPENDENT)
def test_a_step_in_parts_is_the_step_of_the_whole_batch(case: str) -> None:
    images, labels = batch(8, torch.float64)
    whole = stepped(case, images, labels)
    # Three parts have 3, 3 and 2 images; eleven would be more than there are.
    for parts in (3, 11):
        assert_same(stepped(case, images, labels, parts=parts), whole)


@pytest.mark.parametrize("case", ["kd-ensemble-probabilities", "kd+at", "at_gradient-symmetry"])
def test_stored_targets_are_cut_like_the_images(case: str) -> None:
    images, labels = batch(8, torch.float64)
    assert_same(stepped(case, images, labels, stored=True, parts=2), stepped(case, images, labels))


@pytest.mark.parametrize("clip", [1e-2, 1e6])
def test_the_gradient_of_the_whole_batch_is_clipped(clip: float) -> None:
    images, labels = batch(7, torch.float64)
    whole, free = stepped("kd", images, labels, clip=clip), stepped("kd", images, labels)
    assert_same(stepped("kd", images, labels, clip=clip, parts=3), whole)
    assert torch.allclose(whole[WEIGHT], free[WEIGHT], rtol=1e-9) == (clip > 1)


def test_parts_have_statistics_of_their_own() -> None:
    # Each of two parts moves the running means; the whole batch moves them once.
    counts = []
    for parts in (1, 2):
        distiller = build(BY_NAME["kd"]).train()
        step, meters = prepare(distiller, parts=parts)
        step(*batch(8), None, meters, 0.1)
        counts.append(int(distiller.student.get_buffer("bn1.num_batches_tracked")))
    assert counts == [1, 2]


@pytest.mark.parametrize("bad", [slice(0, 4), slice(4, 8), slice(0, 8)], ids=["first part", "last part", "both"])
@pytest.mark.parametrize("clip", [None, 1.0])
def test_a_loss_that_is_not_finite_leaves_the_weights_as_before(bad: slice, clip: float | None) -> None:
    distiller = exact("kd")
    step, meters = prepare(distiller, parts=2, clip=clip)
    images, labels = batch(8, torch.float64)
    step(images, labels, None, meters, 0.1)
    before = state(distiller)
    broken = images.clone()
    broken[bad] = torch.nan
    # And so do all steps that follow, until the loss is looked at.
    for fed in (broken, images):
        step(fed, labels, None, meters, 0.1)
        after = state(distiller)
        assert all(torch.equal(value, after[name]) for name, value in before.items())
    assert meters.fault() == Fault(1, ["ce", "kd"])


def test_more_parts_than_images_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TutelageError, match="accumulate=27: a batch of 26 cannot be split into that many parts"):
        train(**RUN, accumulate=27, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def by_hand(students: list[dict[str, torch.Tensor]], decay: float) -> dict[str, torch.Tensor]:
    """a ← d·a + (1 − d)·s after step n, d = min(decay, 1 − n^(−2/3)), in float64."""
    averaged = {name: torch.zeros_like(value, dtype=torch.float64) for name, value in students[0].items()}
    for step, student in enumerate(students, start=1):
        rising = min(decay, 1 - step ** (-2 / 3))
        averaged = {name: rising * old + (1 - rising) * student[name].double() for name, old in averaged.items()}
    return averaged


def assert_averaged(fit: Fit, seen: Watch, decay: float) -> None:
    assert fit.averaged is not None
    averaged = fit.averaged.module.state_dict()
    for name, value in by_hand(seen.students, decay).items():
        if averaged[name].is_floating_point():
            torch.testing.assert_close(averaged[name].double(), value, rtol=1e-5, atol=1e-7)
    assert not torch.allclose(averaged["fc.weight"], seen.students[-1]["fc.weight"], rtol=1e-3)


def test_the_average_is_that_of_the_weights_after_each_step(tmp_path: Path) -> None:
    fit, seen = watch(**RUN, epochs=2, ema=0.7, out=tmp_path / "run")
    assert len(seen.students) == 10
    assert_averaged(fit, seen, 0.7)


def test_the_average_goes_on_from_stage_to_stage(tmp_path: Path) -> None:
    train(**RUN, epochs=1, out=tmp_path / "teacher")
    run = {key: value for key, value in RUN.items() if key != "model"}
    run |= {"teacher": str(tmp_path / "teacher"), "student": "resnet8", "method": "fitnets", "epochs": 2}
    fit, seen = watch(**run, ema=0.7, out=tmp_path / "run")
    assert len(seen.students) == 10
    assert_averaged(fit, seen, 0.7)


def test_the_average_is_what_is_kept_and_measured_and_the_student_is_trained_as_without(tmp_path: Path) -> None:
    result = train(**RUN, epochs=2, ema=0.8, out=tmp_path / "averaged")
    _, plain = watch(**RUN, epochs=2, out=tmp_path / "plain")
    checkpoint, _ = RunFolder(tmp_path / "averaged").load_checkpoint()
    assert checkpoint is not None
    assert all(torch.equal(plain.students[-1][name], value) for name, value in checkpoint.student.items())
    kept = load_file(tmp_path / "averaged" / "student" / "model.safetensors")
    assert all(torch.equal(checkpoint.averaged[f"module.{name}"], value) for name, value in kept.items())
    assert kept.keys() == checkpoint.student.keys()
    assert not torch.equal(kept["fc.weight"], checkpoint.student["fc.weight"])
    top1 = evaluate(model=str(tmp_path / "averaged"), device="cpu")["top1"]
    assert top1 == pytest.approx(result.top1)


def test_parts_share_a_step_of_the_schedule(tmp_path: Path) -> None:
    _, whole = watch(**RUN, epochs=1, out=tmp_path / "whole")
    _, parts = watch(**RUN, epochs=1, accumulate=2, out=tmp_path / "parts")
    assert len(whole.losses) == len(parts.losses) == 5
    assert parts.losses == pytest.approx(whole.losses, rel=0.2)
