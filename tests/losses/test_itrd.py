"""What is special about ITRD: its minimum, features that do not vary, samples of zeros."""

from __future__ import annotations

import math

import pytest
import torch

from tutelage.errors import TutelageError
from tutelage.losses import itrd_correlation_loss, itrd_loss, itrd_mutual_loss


def embeddings() -> torch.Tensor:
    return torch.randn(6, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_same_features_are_off_by_the_official_factor() -> None:
    same = embeddings()
    expected = math.log2(4 * (1 / 6) ** 3)
    assert itrd_correlation_loss(5 * same + 3, same).item() == pytest.approx(expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_feature_that_does_not_vary_gets_no_gradient(dtype: torch.dtype) -> None:
    teacher = embeddings().to(dtype)
    student = teacher.flip(0).clone()
    student[:, 2] = 0.1
    student.requires_grad_()
    itrd_loss(student, teacher).backward()
    constant = torch.zeros(6, 1, dtype=dtype)
    (gradient,) = torch.autograd.grad(itrd_correlation_loss(student, teacher), student)
    assert not gradient[:, 2].any() and gradient[:, 0].any()
    assert itrd_correlation_loss(constant, constant).item() == 0  # log₂ 1
    assert student.grad is not None and student.grad.isfinite().all()


def test_samples_of_zeros_and_lone_samples_stay_finite() -> None:
    teacher = embeddings()
    nothing = torch.zeros_like(teacher, requires_grad=True)
    assert itrd_mutual_loss(nothing, teacher).item() == 0
    lone = teacher[:1].clone().requires_grad_()
    itrd_loss(lone, teacher[:1]).backward()
    assert lone.grad is not None and lone.grad.isfinite().all()


def test_other_widths_are_refused_where_they_do_not_fit() -> None:
    with pytest.raises(TutelageError, match=r"\(6, 3\).*\(6, 4\).*width"):
        itrd_loss(embeddings()[:, :3], embeddings())
    assert itrd_mutual_loss(embeddings()[:, :3], embeddings()).isfinite()
    with pytest.raises(TutelageError, match="alpha_it = 0"):
        itrd_loss(embeddings(), embeddings(), alpha_it=0)
