"""Checks that every method must pass; the cases are in harness/cases.py."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from harness.cases import CASES, CLASSES, Case, batch, build
from oracles.attention import attention
from oracles.hint import hint
from oracles.kd import kd
from tutelage.distillation import Distiller


def read(network: nn.Module, images: Tensor, names: list[str]) -> tuple[Tensor, dict[str, Tensor]]:
    """Reads module outputs by hooks: another way than the package's own taps."""
    found: dict[str, Tensor] = {}

    def keep(name: str) -> object:
        return network.get_submodule(name).register_forward_hook(lambda _, __, output: found.update({name: output}))

    handles = [keep(name) for name in names]
    logits = network(images)
    for handle in handles:
        handle.remove()
    return logits, found


def expected_terms(case: Case, distiller: Distiller, images: Tensor, labels: Tensor) -> dict[str, float]:
    """Recomputes the weighted terms from the papers' equations, with the naive oracles."""
    stages = ["layer1", "layer2", "layer3"]
    blocks = ["block1", "block2", "block3"]
    student, teacher = copy.deepcopy(distiller.student).train(), copy.deepcopy(distiller.teacher.network).eval()
    with torch.no_grad():
        s_logits, s = read(student, images, stages)
        t_logits, t = read(teacher, images, blocks)
        connected = {
            term.name: copy.deepcopy(term.connector).train()(s[term.student_taps[0]])
            for term in distiller.stage.terms
            if term.name.startswith("hint")
        }
    ce = F.cross_entropy(s_logits, labels).item()
    soft = kd(s_logits.tolist(), t_logits.tolist(), 4.0)
    maps = {
        f"at.{layer}": 1000 * attention(s[layer].tolist(), t[block].tolist()) for layer, block in zip(stages, blocks)
    }
    match case.name:
        case "none":
            return {"ce": ce}
        case "kd" | "fitnets-kd":
            return {"ce": 0.1 * ce, "kd": 0.9 * soft}
        case "at":
            return {"ce": ce, **maps}
        case "kd+at":
            return {"ce": 0.1 * ce, "kd": 0.9 * soft, **maps}
        case "fitnets-hint":
            return {"hint.layer2": 100 * hint(connected["hint.layer2"].tolist(), t["block2"].tolist(), "mean")}
        case "fitnets-joint":
            pairs = {"hint.layer2": "block2", "hint.layer3": "block3"}
            hints = {
                name: 10 * hint(connected[name].tolist(), t[block].tolist(), "normalized")
                for name, block in pairs.items()
            }
            return {"ce": ce, **hints, "kd": 10 / CLASSES * kd(s_logits.tolist(), t_logits.tolist(), 6.0)}
    raise AssertionError(f"write down what {case.name} computes")


@pytest.mark.parametrize("case", CASES, ids=str)
def test_terms_are_the_papers(case: Case) -> None:
    distiller = build(case, torch.float64).train()
    images, labels = batch(3, torch.float64)
    expected = expected_terms(case, distiller, images, labels)
    out = distiller(images, labels)
    assert {name: value.item() for name, value in out.terms.items()} == pytest.approx(expected, rel=1e-5)
    assert out.loss.item() == pytest.approx(sum(expected.values()), rel=1e-5)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_step_leaves_the_teacher_untouched(case: Case) -> None:
    distiller = build(case).train()
    assert distiller.teacher is not None
    before = {name: value.clone() for name, value in distiller.teacher.state_dict().items()}
    optimizer = torch.optim.SGD([p for p in distiller.parameters() if p.requires_grad], lr=0.1, momentum=0.9)
    for seed in range(2):
        distiller(*batch(seed=seed)).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    after = distiller.teacher.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert not any(module.training for module in distiller.teacher.modules())
    assert all(p.grad is None for p in distiller.teacher.parameters())
    own = {id(p) for p in distiller.parameters()}
    assert not own & {id(p) for p in distiller.teacher.parameters()}


@pytest.mark.parametrize("case", CASES, ids=str)
def test_gradients_reach_all_that_is_trained_and_nothing_else(case: Case) -> None:
    distiller = build(case).train()
    distiller(*batch()).loss.backward()
    trained = {name for name, p in distiller.named_parameters() if p.requires_grad}
    reached = {name for name, p in distiller.named_parameters() if p.grad is not None}
    assert reached == trained
    connectors = {name for name in trained if name.startswith("terms.")}
    assert bool(connectors) == ("hint" in case.name or "joint" in case.name)
    assert not any("terms" in name or "connector" in name for name in distiller.student.state_dict())


@pytest.mark.parametrize("case", CASES, ids=str)
def test_bf16_agrees(case: Case) -> None:
    images, labels = batch(8)
    exact = build(case).train()(images, labels)
    with torch.autocast("cpu", torch.bfloat16):
        half = build(case).train()(images, labels)
    assert all(value.dtype == torch.float32 for value in half.terms.values())
    assert half.loss.item() == pytest.approx(exact.loss.item(), rel=0.05)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_directional_derivative(case: Case) -> None:
    distiller = build(case, torch.float64).train()
    images, labels = batch(3, torch.float64)
    parameters = [p for p in distiller.parameters() if p.requires_grad]
    gradients = torch.autograd.grad(distiller(images, labels).loss, parameters)
    draw = torch.Generator().manual_seed(3)
    directions = [torch.randn(p.shape, generator=draw, dtype=p.dtype) * p.std().clamp(min=0.1) for p in parameters]
    analytic = sum((g * d).sum() for g, d in zip(gradients, directions))
    losses = []
    for step in (1e-6, -2e-6):
        with torch.no_grad():
            for p, d in zip(parameters, directions):
                p.add_(d, alpha=step)
        losses.append(distiller(images, labels).loss.item())
    numeric = (losses[0] - losses[1]) / 2e-6
    assert numeric == pytest.approx(analytic.item(), rel=1e-3)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_unlabelled_samples_count_for_no_cross_entropy(case: Case) -> None:
    images, labels = batch(4)
    some = labels.clone()
    some[2:] = -1
    out = build(case).train()(images, some)
    if "ce" not in out.terms:
        assert case.stage == 0
        return
    weight = build(case).stage.task_weight
    expected = weight * F.cross_entropy(out.logits[:2], labels[:2])
    torch.testing.assert_close(out.terms["ce"], expected)
    nothing = build(case).train()(images, torch.full_like(labels, -1))
    assert nothing.terms["ce"].item() == 0 and torch.isfinite(nothing.loss)
