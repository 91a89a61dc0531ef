"""USKD has no teacher, so it has no row in the table: its oracle, its labels and extreme logits."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from oracles.uskd import uskd
from tutelage.errors import TutelageError
from tutelage.losses import uskd_loss

LABELS = torch.tensor([3, 0, 4, 0])


def test_value_is_the_oracles() -> None:
    student, weak = torch.randn(2, 4, 5, dtype=torch.float64)
    weights = {"alpha": 0.5, "beta": 2.0, "mu": 0.25}
    expected = uskd(student.tolist(), weak.tolist(), LABELS.tolist(), **weights)
    assert uskd_loss(student, weak, LABELS, **weights).item() == pytest.approx(expected, rel=1e-10)


def test_the_soft_target_and_the_ranks_get_no_gradient() -> None:
    student, weak = torch.randn(2, 4, 5, dtype=torch.float64, requires_grad=True)
    assert not torch.autograd.grad(uskd_loss(student, weak, LABELS, mu=0.0), weak)[0].any()
    (found,) = torch.autograd.grad(uskd_loss(student, weak, LABELS, beta=0.0, mu=0.0), student)
    confidence = student.detach().softmax(1).gather(1, LABELS[:, None])[:, 0].square()
    weights = confidence + 1 - confidence.mean()
    expected = torch.autograd.grad((weights * F.cross_entropy(student, LABELS, reduction="none")).mean(), student)
    assert torch.allclose(found, expected[0])


def test_unlabeled_samples_are_left_out() -> None:
    student, weak = torch.randn(2, 4, 5)
    labels = torch.tensor([-1, 0, 4, 0])
    alone = uskd_loss(student[1:], weak[1:], labels[1:])
    assert uskd_loss(student, weak, labels).item() == pytest.approx(alone.item(), rel=1e-6)
    nothing = uskd_loss(student.requires_grad_(), weak, torch.full((4,), -1))
    assert nothing.item() == 0 and not torch.autograd.grad(nothing, student)[0].any()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_logits_of_60_have_a_finite_gradient(dtype: torch.dtype) -> None:
    student = torch.tensor([[60.0, -60.0, 0.0], [-60.0, 60.0, 0.0]], dtype=dtype, requires_grad=True)
    loss = uskd_loss(student, student, torch.tensor([0, 0]))
    loss.backward()
    assert loss.isfinite() and student.grad is not None and student.grad.isfinite().all()


def test_labels_of_another_batch_are_refused() -> None:
    with pytest.raises(TutelageError, match="uskd: expected integer labels"):
        uskd_loss(torch.zeros(2, 5), torch.zeros(2, 5), LABELS)
