from __future__ import annotations

import pytest
import torch

from tutelage.errors import TutelageError
from tutelage.losses import dkd_loss, rld_loss


def test_sure_and_right_teacher_gives_dkd() -> None:
    """Where the label is the teacher's best class, its maximum is the label's and all others lie below."""
    student, teacher = torch.randn(2, 4, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    labels = teacher.argmax(1)
    expected = dkd_loss(student, teacher, labels).item()
    assert rld_loss(student, teacher, labels, alpha_temperature=4.0).item() == pytest.approx(expected)


def test_no_class_below_the_label_leaves_the_confidence_alone() -> None:
    student, teacher = torch.randn(2, 4, 7, generator=torch.Generator().manual_seed(0))
    leaf, labels = student.clone().requires_grad_(), teacher.argmin(1)
    loss = rld_loss(leaf, teacher, labels)
    loss.backward()
    assert loss.item() == pytest.approx(rld_loss(student, teacher, labels, beta=0.0).item())
    assert leaf.grad is not None and leaf.grad.isfinite().all()


def test_second_temperature_must_be_positive() -> None:
    with pytest.raises(TutelageError, match="alpha_temperature"):
        rld_loss(torch.zeros(1, 3), torch.zeros(1, 3), torch.tensor([0]), alpha_temperature=0)
