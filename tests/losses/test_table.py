"""What holds for every loss: its oracle's value, a right gradient, full precision, halves that make the whole."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck

from losses.cases import CASES, Case

each = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
each_in_halves = pytest.mark.parametrize("case", [c for c in CASES if c.target], ids=lambda case: case.name)


def by_oracle(case: Case, students: list[Tensor], teachers: list[Tensor]) -> float:
    return case.oracle(*[t.tolist() for t in (*students, *teachers, *case.labels)])


@each
@pytest.mark.parametrize("seed", [0, 1])
def test_value_is_the_oracles(case: Case, seed: int) -> None:
    students, teachers = case.inputs(seed=seed)
    loss = case.loss(*students, *teachers, *case.labels)
    assert loss.shape == ()
    assert loss.item() == pytest.approx(by_oracle(case, students, teachers), rel=1e-10, abs=1e-13)


@pytest.mark.parametrize("case", [c for c in CASES if c.plain_gradient], ids=lambda case: case.name)
def test_gradient_is_that_of_the_value(case: Case) -> None:
    students, teachers = case.inputs()
    students = [s.requires_grad_() for s in students]
    assert gradcheck(lambda *inputs: case.loss(*inputs, *teachers, *case.labels), students)


@each
def test_teacher_gets_no_gradient(case: Case) -> None:
    students, teachers = case.inputs()
    for tensor in (*students, *teachers):
        tensor.requires_grad_()
    case.loss(*students, *teachers, *case.labels).backward()
    assert all(s.grad is not None and s.grad.abs().sum() > 0 for s in students)
    assert all(t.grad is None for t in teachers)


@each_in_halves
def test_target_and_match_make_the_loss(case: Case) -> None:
    students, teachers = case.inputs()
    assert case.target is not None and case.match is not None
    target = case.target(*[t.requires_grad_() for t in teachers])
    assert not target.requires_grad
    assert case.match(*students, target, *case.labels).equal(case.loss(*students, *teachers, *case.labels))


@each
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_full_precision_is_kept(case: Case, dtype: torch.dtype) -> None:
    students, teachers = case.inputs(dtype)
    loss = case.loss(*students, *teachers, *case.labels)
    assert loss.dtype == dtype
    assert loss.item() == pytest.approx(by_oracle(case, students, teachers), rel=1e-4, abs=1e-6)


@each
def test_autocast_changes_nothing_inside(case: Case) -> None:
    students, teachers = case.inputs(torch.float32)
    plain = case.loss(*students, *teachers, *case.labels)
    with torch.autocast("cpu", torch.bfloat16):
        assert case.loss(*students, *teachers, *case.labels).equal(plain)


@each
def test_bfloat16_features_are_computed_in_float32(case: Case) -> None:
    students, teachers = case.inputs(torch.bfloat16)
    students = [s.requires_grad_() for s in students]
    with torch.autocast("cpu", torch.bfloat16):
        loss = case.loss(*students, *teachers, *case.labels)
    loss.backward()
    assert loss.dtype == torch.float32
    assert all(s.grad is not None and s.grad.dtype == torch.bfloat16 for s in students)
    # of the rounded inputs it is the exact value; of the inputs before, it is off by their rounding alone
    assert loss.item() == pytest.approx(by_oracle(case, students, teachers), rel=1e-4, abs=1e-6)
    assert loss.item() == pytest.approx(by_oracle(case, *case.inputs()), rel=8 * torch.finfo(torch.bfloat16).eps)


@each
def test_order_of_the_batch_does_not_matter(case: Case) -> None:
    students, teachers = case.inputs()
    loss = case.loss(*students, *teachers, *case.labels)
    flipped = case.loss(*[t.flip(0) for t in (*students, *teachers, *case.labels)])
    assert flipped.item() == pytest.approx(loss.item(), rel=1e-12)


@pytest.mark.parametrize("case", [c for c in CASES if not c.relational], ids=lambda case: case.name)
def test_halves_of_a_batch_average_to_the_whole(case: Case) -> None:
    students, teachers = case.inputs()
    first, second = zip(*(t.chunk(2) for t in (*students, *teachers, *case.labels)))
    average = (case.loss(*first) + case.loss(*second)) / 2
    assert average.item() == pytest.approx(case.loss(*students, *teachers, *case.labels).item(), rel=1e-12)


@pytest.mark.parametrize("case", [c for c in CASES if c.students == c.teachers], ids=lambda case: case.name)
def test_the_same_features_are_no_loss_and_no_nan(case: Case) -> None:
    students, _ = case.inputs(torch.float32)
    same = [s.clone().requires_grad_() for s in students]
    loss = case.loss(*same, *students, *case.labels)
    loss.backward()
    if case.zero_if_equal:
        assert loss.item() == pytest.approx(0, abs=1e-6)
    assert all(s.grad is not None and s.grad.isfinite().all() for s in same)


@each
def test_zero_features_give_a_finite_gradient(case: Case) -> None:
    students, teachers = case.inputs(torch.float32)
    zeros = [torch.zeros_like(s).requires_grad_() for s in students]
    for of_teacher in (teachers, [torch.zeros_like(t) for t in teachers]):
        loss = case.loss(*zeros, *of_teacher, *case.labels)
        gradients = torch.autograd.grad(loss, zeros)
        assert loss.isfinite()
        assert all(g.abs().max() < 1e3 for g in gradients)


@each
def test_batches_of_different_length_are_refused(case: Case) -> None:
    students, teachers = case.inputs()
    with pytest.raises(ValueError, match="batch|samples"):
        case.loss(*students, *[t[:1] for t in teachers], *case.labels)


@pytest.mark.parametrize("case", [c for c in CASES if c.classes is not None], ids=lambda case: case.name)
def test_unlabeled_samples_are_left_out(case: Case) -> None:
    students, teachers = case.inputs()
    (labels,) = case.labels
    labels[0] = -1
    alone = case.loss(*[t[1:] for t in (*students, *teachers)], labels[1:])
    assert case.loss(*students, *teachers, labels).item() == pytest.approx(alone.item(), rel=1e-12)
    nothing = case.loss(*[s.requires_grad_() for s in students], *teachers, torch.full_like(labels, -1))
    assert nothing.item() == 0
    assert all(not g.any() for g in torch.autograd.grad(nothing, students, allow_unused=True) if g is not None)
