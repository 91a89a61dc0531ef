"""What is special about RKD: invariances, repeated and lone samples, angles in blocks."""

from __future__ import annotations

import pytest
import torch

from tutelage.errors import TutelageError
from tutelage.losses import rkd, rkd_loss


def pair(batch: int = 6) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    student = torch.randn(batch, 5, generator=generator, dtype=torch.float64)
    return student, torch.randn(batch, 8, generator=generator, dtype=torch.float64)


def test_shifted_scaled_and_rotated_embeddings_have_the_same_relations() -> None:
    student, teacher = pair()
    rotation = torch.linalg.qr(torch.randn(5, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64))[0]
    torch.testing.assert_close(rkd_loss(3 * student @ rotation + 7, teacher), rkd_loss(student, teacher))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_repeated_samples_far_from_zero(dtype: torch.dtype) -> None:
    student, teacher = (features.to(dtype) for features in pair())
    student = (student + 100)[[0, 0, 2, 3, 2, 5]].requires_grad_()
    loss = rkd_loss(student, teacher)
    loss.backward()
    shifted = rkd_loss(student.detach() - student[5].detach(), teacher)
    assert loss.item() == pytest.approx(shifted.item(), rel=1e-4)
    assert student.grad is not None and student.grad.isfinite().all() and student.grad.abs().max() < 100


def test_one_sample_has_no_relations() -> None:
    student, teacher = pair(batch=1)
    loss = rkd_loss(student.requires_grad_(), teacher)
    loss.backward()
    assert loss.item() == 0
    assert student.grad is not None and not student.grad.any()


def test_blocks_of_angles_make_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    student, teacher = pair()
    student.requires_grad_()
    whole = rkd_loss(student, teacher)
    (expected,) = torch.autograd.grad(whole, student)
    monkeypatch.setitem(rkd.BLOCK, "cpu", 4 * 6 * 6)  # four anchors, then two
    blocks = rkd_loss(student, teacher)
    (gradient,) = torch.autograd.grad(blocks, student)
    torch.testing.assert_close(blocks, whole)
    torch.testing.assert_close(gradient, expected)


def test_maps_are_refused() -> None:
    with pytest.raises(TutelageError, match=r"rkd: expected embeddings \(B, D\), got shape \(2, 3, 4, 4\)"):
        rkd_loss(torch.zeros(2, 3, 4, 4), torch.zeros(2, 3))
