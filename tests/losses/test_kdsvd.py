"""What is special about KDSVD: signs and order of singular vectors, and equal singular values."""

from __future__ import annotations

import pytest
import torch

from tutelage.errors import TutelageError
from tutelage.losses import kdsvd_loss, kdsvd_match, kdsvd_target

Pair = tuple[torch.Tensor, torch.Tensor]


def pairs() -> tuple[Pair, Pair]:
    generator = torch.Generator().manual_seed(0)
    student, teacher = torch.randn(2, 2, 9 * 25, generator=generator, dtype=torch.float64)
    return (
        (student[:, :100].view(2, 4, 5, 5), student[:, 100:].view(2, 5, 5, 5)),
        (teacher[:, :100].view(2, 4, 5, 5), teacher[:, 100:].view(2, 5, 5, 5)),
    )


def test_several_vectors_are_singular_vectors() -> None:
    maps = torch.rand(2, 6, 3, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    _, values, vectors = torch.linalg.svd(maps.flatten(2).mT)
    values = torch.nn.functional.normalize(values[:, :3], dim=1)
    expected = vectors[:, :3].mT * values[:, None]
    target = kdsvd_target(maps, k=3)
    torch.testing.assert_close(target.abs(), expected.abs())
    assert (target.sum(1) >= 0).all()


def test_negative_student_is_the_same() -> None:
    (a, b), teacher = pairs()
    torch.testing.assert_close(kdsvd_loss((-a, b), teacher, k=2), kdsvd_loss((a, b), teacher, k=2))


def test_equal_singular_values_have_a_finite_gradient() -> None:
    _, (a, b) = pairs()
    dead = torch.zeros(2, 4, 5, 5, dtype=torch.float64)
    dead[:, 0, 0, 0] = dead[:, 1, 1, 1] = 1  # two equal singular values, two of 0
    dead.requires_grad_()
    loss = kdsvd_match(dead, b, kdsvd_target(a), kdsvd_target(b))
    loss.backward()
    assert dead.grad is not None and dead.grad.isfinite().all()


def test_what_does_not_fit_is_refused() -> None:
    student, teacher = pairs()
    with pytest.raises(TutelageError, match="student's 4 channels differ from the teacher's 5"):
        kdsvd_loss(student, (teacher[1], teacher[1]))
    with pytest.raises(TutelageError, match="k = 5 must be between 1 and 4"):
        kdsvd_target(teacher[0], k=5)
