from __future__ import annotations

import pytest
import torch

from tutelage.errors import TutelageError
from tutelage.losses import dkd_loss, kd_loss, standardize


def logits(batch: int = 4, classes: int = 7, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    student, teacher = torch.randn(2, batch, classes, generator=generator, dtype=torch.float64)
    return student, teacher, torch.randint(classes, (batch,), generator=generator)


def test_weight_of_the_others_that_gives_kd() -> None:
    """KD is TCKD + (1 − p_t[y])·NCKD, for one sample (Zhao et al.)."""
    student, teacher, labels = logits(batch=1)
    missing = 1 - (teacher / 4).softmax(1)[0, labels[0]].item()
    expected = kd_loss(student, teacher, 4.0).item()
    assert dkd_loss(student, teacher, labels, alpha=1.0, beta=missing).item() == pytest.approx(expected)


def test_two_classes_leave_tckd_alone() -> None:
    student, teacher, labels = logits(classes=2)
    expected = kd_loss(student, teacher, 4.0).item()
    assert dkd_loss(student, teacher, labels, beta=100.0).item() == pytest.approx(expected)


def test_standardized_logits_ignore_shift_and_scale() -> None:
    student, teacher, labels = logits()
    expected = dkd_loss(student, teacher, labels, standardize=True).item()
    assert dkd_loss(7 * student - 3, teacher + 2, labels, standardize=True).item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("value", [0.0, 0.1, -1e4])
def test_equal_logits_standardize_to_zero_without_a_gradient(value: float) -> None:
    leaf = torch.full((2, 1000), value, requires_grad=True)
    out = standardize(leaf)
    out.square().sum().backward()
    assert not out.any()
    assert leaf.grad is not None and not leaf.grad.any()


def test_labels_are_checked() -> None:
    student, teacher, labels = logits()
    with pytest.raises(TutelageError, match=r"dkd: expected integer labels of shape \(4,\).*\(3,\)"):
        dkd_loss(student, teacher, labels[:3])
    with pytest.raises(TutelageError, match="float64"):
        dkd_loss(student, teacher, labels.double())
