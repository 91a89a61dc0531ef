"""Checks that every method must pass; the cases are in harness/cases.py."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from harness.cases import CASES, VARIANTS, Case, batch, build, index_of, rebuilt
from harness.marks import quickly
from methods.expected import expected_terms
from tutelage.distillation import Distiller, DistillerOutput
from tutelage.methods import parse

NAMES = {case.name for case in CASES}
each = pytest.mark.parametrize("case", quickly(CASES, NAMES - VARIANTS), ids=str)
QUICK = {"none", "kd", "dkd", "rkd", "crd", "at", "ofd", "fitnets-hint", "reviewkd", "semckd", "simkd", "srrl"}
"""Methods of each kind: what rarely depends on the method is checked for them by ``make test``."""
some = pytest.mark.parametrize("case", quickly(CASES, QUICK), ids=str)


def run(distiller: Distiller, images: Tensor, labels: Tensor) -> DistillerOutput:
    out: DistillerOutput = distiller(images, labels, index=index_of(images))
    return out


@pytest.mark.parametrize("case", quickly(CASES, {case.name for case in CASES} - {"ofd-eval", "kd+ofd"}), ids=str)
def test_terms_are_the_papers(case: Case) -> None:
    distiller = rebuilt(case, torch.float64).train()
    images, labels = batch(3, torch.float64)
    expected = expected_terms(case, distiller, images, labels)
    out = run(distiller, images, labels)
    assert {name: value.item() for name, value in out.terms.items()} == pytest.approx(expected, rel=1e-5)
    assert out.loss.item() == pytest.approx(sum(expected.values()), rel=1e-5)


@pytest.mark.parametrize("case", [case for case in CASES if case.method != "none"], ids=str)
def test_methods_that_read_labels_or_indices_say_so_before_networks_are_built(case: Case) -> None:
    single = any(method.single_samples for method in case.methods().values())
    assert single == any(stage.terms_need_labels or stage.needs_index for stage in rebuilt(case).stages)


@some
def test_a_step_leaves_the_teacher_untouched(case: Case) -> None:
    distiller = rebuilt(case).train()
    assert distiller.teacher is not None
    before = {name: value.clone() for name, value in distiller.teacher.state_dict().items()}
    optimizer = torch.optim.SGD([p for p in distiller.parameters() if p.requires_grad], lr=0.1, momentum=0.9)
    for seed in range(2):
        run(distiller, *batch(seed=seed)).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    after = distiller.teacher.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert not any(module.training for module in distiller.teacher.modules())
    assert all(p.grad is None for p in distiller.teacher.parameters())
    own = {id(p) for p in distiller.parameters()}
    assert not own & {id(p) for p in distiller.teacher.parameters()}


@each
def test_gradients_reach_all_that_is_trained_and_nothing_else(case: Case) -> None:
    distiller = rebuilt(case).train()
    run(distiller, *batch()).loss.backward()
    trained = {name for name, p in distiller.named_parameters() if p.requires_grad}
    reached = {name for name, p in distiller.named_parameters() if p.grad is not None}
    assert reached == trained
    own = {f"terms.{name}" for name, _ in distiller.terms.named_parameters() if "._target." not in name}
    assert own == {name for name in trained if name.startswith("terms.")}
    assert not any("terms" in name or "connector" in name for name in distiller.student.state_dict())


@some
def test_bf16_agrees(case: Case) -> None:
    images, labels = batch(8)
    exact = run(rebuilt(case).train(), images, labels)
    with torch.autocast("cpu", torch.bfloat16):
        half = run(rebuilt(case).train(), images, labels)
    assert all(value.dtype == torch.float32 for value in half.terms.values())
    assert half.loss.item() == pytest.approx(exact.loss.item(), rel=0.05)


# The weight of a sample in WSLD is detached.
@pytest.mark.parametrize("case", quickly([case for case in CASES if case.method != "wsld"], NAMES - VARIANTS), ids=str)
def test_directional_derivative(case: Case) -> None:
    distiller = rebuilt(case, torch.float64).train()
    images, labels = batch(3, torch.float64)
    run(distiller, images, labels)  # sets what is constant from the first batch on
    state = [(buffer, buffer.clone()) for buffer in distiller.buffers()]

    def loss() -> Tensor:
        for buffer, value in state:
            buffer.copy_(value)
        return run(distiller, images, labels).loss

    parameters = [p for p in distiller.parameters() if p.requires_grad]
    gradients = torch.autograd.grad(loss(), parameters)
    draw = torch.Generator().manual_seed(3)
    directions = [
        torch.randn(p.shape, generator=draw, dtype=p.dtype) * p.std(correction=0).clamp(min=0.1) for p in parameters
    ]
    analytic = sum((g * d).sum() for g, d in zip(gradients, directions))
    losses = []
    for step in (1e-6, -2e-6):
        with torch.no_grad():
            for p, d in zip(parameters, directions):
                p.add_(d, alpha=step)
        losses.append(loss().item())
    numeric = (losses[0] - losses[1]) / 2e-6
    assert numeric == pytest.approx(analytic.item(), rel=1e-3)


@some
def test_unlabelled_samples_count_for_no_cross_entropy(case: Case) -> None:
    images, labels = batch(4)
    some = labels.clone()
    some[2:] = -1
    distiller = rebuilt(case).train()
    out = run(distiller, images, some)
    weight = distiller.stage.task_weight
    if "ce" not in out.terms:
        assert weight == 0
        return
    expected = weight * F.cross_entropy(out.logits[:2], labels[:2])
    torch.testing.assert_close(out.terms["ce"], expected)
    nothing = run(distiller, images, torch.full_like(labels, -1))
    assert nothing.terms["ce"].item() == 0 and torch.isfinite(nothing.loss)


# The weights of SemCKD belong to places in the batch.
@pytest.mark.parametrize("case", quickly([case for case in CASES if case.method != "semckd"], QUICK), ids=str)
def test_the_order_of_the_batch_does_not_matter(case: Case) -> None:
    images, labels = batch(6, torch.float64)
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    whole, mixed = (run(rebuilt(case, torch.float64).train(), images[i], labels[i]) for i in (slice(None), order))
    for name, value in whole.terms.items():
        torch.testing.assert_close(mixed.terms[name], value)


@pytest.mark.parametrize(
    "case",
    quickly(
        [case for case in CASES if case.method != "none" and "kd" not in parse(case.method)],
        QUICK,
    ),
    ids=str,
)
def test_every_method_joins_kd(case: Case) -> None:
    joined = Case(case.name, f"kd+{case.method}", case.settings, teachers=case.teachers, epochs=case.epochs)
    distiller = build(joined)
    own = len(rebuilt(case).stages)
    assert len(distiller.stages) == own
    distiller.enter(own - 1)
    out = run(distiller.train(), *batch())
    out.loss.backward()
    assert {"ce", "kd"} <= out.terms.keys() and torch.isfinite(out.loss)
    assert distiller.stage.task_weight == pytest.approx(0.1)
    assert [term.name for term in distiller.stage.terms].count("kd") == 1
