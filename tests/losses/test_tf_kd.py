"""Teacher-free KD has no teacher, so it has no row in the table: its oracle, its labels and its errors."""

from __future__ import annotations

import pytest
import torch

from oracles.tf_kd import tf_kd
from tutelage.errors import TutelageError
from tutelage.losses import tf_kd_loss


def test_value_is_the_oracles_and_the_gradient_that_of_the_value() -> None:
    logits = torch.randn(4, 5, dtype=torch.float64, requires_grad=True)
    labels = torch.tensor([3, 0, 4, 0])
    options = {"temperature": 0.5, "confidence": 0.8}
    assert tf_kd_loss(logits, labels, **options).item() == pytest.approx(
        tf_kd(logits.tolist(), labels.tolist(), **options), rel=1e-10
    )
    assert torch.autograd.gradcheck(lambda z: tf_kd_loss(z, labels, **options), logits)


def test_unlabeled_samples_are_left_out() -> None:
    logits, labels = torch.randn(3, 5, requires_grad=True), torch.tensor([-1, 2, 3])
    assert tf_kd_loss(logits, labels).item() == pytest.approx(tf_kd_loss(logits[1:], labels[1:]).item(), rel=1e-6)
    nothing = tf_kd_loss(logits, torch.full((3,), -1))
    (gradient,) = torch.autograd.grad(nothing, logits)
    assert nothing.item() == 0 and not gradient.any()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_logits_of_60_have_a_finite_gradient(dtype: torch.dtype) -> None:
    logits = torch.tensor([[60.0, -60.0, 0.0]], dtype=dtype, requires_grad=True)
    loss = tf_kd_loss(logits, torch.tensor([1]))
    loss.backward()
    assert loss.isfinite() and logits.grad is not None and logits.grad.isfinite().all()


def test_errors_name_the_remedy() -> None:
    logits, labels = torch.zeros(2, 5), torch.tensor([1, 2])
    with pytest.raises(TutelageError, match="confidence 99 must be from 0 to 1; the usual value is 0.99"):
        tf_kd_loss(logits, labels, confidence=99)
    with pytest.raises(TutelageError, match="temperature 0 must be positive; the usual value is 20"):
        tf_kd_loss(logits, labels, temperature=0)
