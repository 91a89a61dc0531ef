"""What is special about SRD: equal embeddings, and features that do not vary."""

from __future__ import annotations

import math

import pytest
import torch

from tutelage.errors import TutelageError
from tutelage.losses import srd_loss


def embeddings() -> torch.Tensor:
    return torch.randn(6, 4, generator=torch.Generator().manual_seed(0))


def test_equal_embeddings_have_a_finite_loss_and_no_gradient() -> None:
    student = embeddings().requires_grad_()
    loss = srd_loss(student, embeddings())
    loss.backward()
    assert loss.item() == pytest.approx(math.log(torch.finfo(torch.float32).tiny))
    assert student.grad is not None and not student.grad.any()


def test_scale_and_shift_of_a_feature_do_not_matter() -> None:
    student, teacher = embeddings().double(), embeddings().double().flip(0)
    moved = student * torch.tensor([1.0, 2.0, 3.0, 100.0]) + 5
    torch.testing.assert_close(srd_loss(moved, teacher, bn_eps=1e-12), srd_loss(student, teacher, bn_eps=1e-12))


def test_normalization_is_batch_normalization() -> None:
    student, teacher = embeddings(), embeddings().flip(1)
    norm = torch.nn.BatchNorm1d(4, eps=0.1, affine=False)
    expected = (norm(student) - norm(teacher)).abs().pow(2.5).sum().log()
    torch.testing.assert_close(srd_loss(student, teacher, exponent=2.5, bn_eps=0.1), expected)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(TutelageError, match=r"srd: .*\(2, 3\).*\(2, 4\).*linear layer"):
        srd_loss(torch.zeros(2, 3), torch.zeros(2, 4))
    with pytest.raises(TutelageError, match="exponent = 0.5"):
        srd_loss(embeddings(), embeddings(), exponent=0.5)
