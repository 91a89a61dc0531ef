from __future__ import annotations

import pytest
import torch

from tutelage.errors import TutelageError
from tutelage.losses import kd_loss, ttm_loss


def logits() -> tuple[torch.Tensor, torch.Tensor]:
    student, teacher = torch.randn(2, 4, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return student, teacher


def test_exponent_of_one_is_kd_without_a_temperature() -> None:
    student, teacher = logits()
    expected = kd_loss(student, teacher, 1.0).item()
    assert ttm_loss(student, teacher, gamma=1.0).item() == pytest.approx(expected)
    assert ttm_loss(student, teacher, gamma=1.0, weighted=True).item() == pytest.approx(expected)


def test_weight_is_large_where_the_teacher_is_unsure() -> None:
    student, _ = logits()
    unsure, sure = torch.zeros_like(student), 200 * torch.eye(7, dtype=student.dtype)[:4]
    ratios = [ttm_loss(student, t, weighted=True).item() / ttm_loss(student, t).item() for t in (unsure, sure)]
    assert ratios == pytest.approx([7**0.9, 1.0], rel=1e-6)


def test_the_tail_of_a_confident_teacher_counts() -> None:
    """softmax(z_t) is 0 in float32 for all classes but one, its power 0.1 is not."""
    teacher = torch.tensor([[60.0, -60.0, -50.0]])
    student = torch.zeros(1, 3)
    exact = ttm_loss(student.double(), teacher.double()).item()
    assert ttm_loss(student, teacher).item() == pytest.approx(exact, rel=1e-6)


def test_exponent_must_be_positive() -> None:
    with pytest.raises(TutelageError, match=r"ttm: gamma 0 must be positive"):
        ttm_loss(*logits(), gamma=0)
