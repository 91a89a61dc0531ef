from __future__ import annotations

import pytest
import torch

from tutelage.errors import TutelageError
from tutelage.losses import gkl_loss


def test_shift_of_all_logits_of_a_sample_changes_nothing() -> None:
    student, teacher = torch.randn(2, 4, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    labels = torch.tensor([0, 3, 3, 6])
    expected = gkl_loss(student, teacher, labels).item()
    shifts = torch.tensor([[100.0], [-7.0], [0.5], [3.0]])
    assert gkl_loss(student + shifts, teacher, labels).item() == pytest.approx(expected)


def test_close_logits_keep_their_difference() -> None:
    """The squares of large common shifts would cancel in float32; the differences from the mean do not."""
    teacher = torch.tensor([[1000.0, 1001.0]])
    loss = gkl_loss(torch.zeros(1, 2), teacher, torch.tensor([0]), alpha=0.0, beta=4.0, gamma=0.0)
    assert loss.item() == pytest.approx(0.5)


def test_thousands_of_classes_need_no_pairs() -> None:
    """A tensor of B·K·K floats would take 59 GB."""
    student, teacher = torch.randn(2, 256, 8000, generator=torch.Generator().manual_seed(0))
    leaf = student.requires_grad_()
    gkl_loss(leaf, teacher, torch.arange(256)).backward()
    assert leaf.grad is not None and leaf.grad.isfinite().all()


def test_bad_arguments_are_named() -> None:
    logits, labels = torch.zeros(2, 3), torch.tensor([0, 1])
    with pytest.raises(TutelageError, match=r"class_means of shape \(3, 4\) does not fit 3 classes"):
        gkl_loss(logits, logits, labels, class_means=torch.ones(3, 4))
    with pytest.raises(TutelageError, match="unknown gkl version '3'"):
        gkl_loss(logits, logits, labels, version=3)  # type: ignore[arg-type]
