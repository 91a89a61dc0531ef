"""What is special about SP: what similarities leave out, and dead samples."""

from __future__ import annotations

import torch

from tutelage.losses import sp_loss


def test_rotated_and_scaled_features_are_alike() -> None:
    generator = torch.Generator().manual_seed(0)
    student = torch.randn(5, 6, generator=generator, dtype=torch.float64)
    rotation = torch.linalg.qr(torch.randn(9, 6, generator=generator, dtype=torch.float64))[0]
    assert sp_loss(student, 4 * student @ rotation.mT).item() < 1e-28


def test_a_dead_sample_gives_a_row_of_zeros_and_no_gradient() -> None:
    student = torch.eye(3, requires_grad=True)
    dead = torch.diag(torch.tensor([1.0, 1.0, 0.0])).requires_grad_()
    loss = sp_loss(dead, student)
    loss.backward()
    assert loss.item() == torch.tensor(1 / 9).item()
    assert dead.grad is not None and not dead.grad[2].any()
