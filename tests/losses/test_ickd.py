"""What is special about ICKD: memory of wide maps, dead channels, what correlations leave out."""

from __future__ import annotations

import pytest
import torch

from tutelage.errors import TutelageError
from tutelage.losses import ickd_loss


def test_order_of_positions_and_scale_do_not_matter() -> None:
    generator = torch.Generator().manual_seed(0)
    student, teacher = torch.randn(2, 2, 5, 2, 3, generator=generator, dtype=torch.float64)
    mixed = 3 * student.flatten(2)[:, :, torch.tensor([5, 0, 3, 1, 4, 2])].view(2, 5, 3, 2)
    torch.testing.assert_close(ickd_loss(mixed, teacher), ickd_loss(student, teacher))


def test_wide_maps_need_no_matrix_of_channels() -> None:
    # 20 000² correlations per network and sample would be 3.2 GB
    generator = torch.Generator().manual_seed(0)
    student, teacher = torch.randn(2, 2, 20_000, 2, 2, generator=generator)
    student.requires_grad_()
    loss = ickd_loss(student, teacher)
    loss.backward()
    assert 0 < loss.item() < 4
    assert student.grad is not None and student.grad.isfinite().all()


def test_a_dead_channel_is_off_by_one_and_gets_no_gradient() -> None:
    teacher = torch.eye(2).view(1, 2, 2, 1)
    student = torch.tensor([[1.0, 0.0], [0.0, 0.0]]).view(1, 2, 2, 1).requires_grad_()
    loss = ickd_loss(student, teacher)
    loss.backward()
    assert loss.item() == pytest.approx(0.5)
    assert student.grad is not None and not student.grad[0, 1].any()


def test_other_channels_are_refused() -> None:
    with pytest.raises(TutelageError, match="student's 3 channels differ from the teacher's 4"):
        ickd_loss(torch.zeros(1, 3, 2, 2), torch.zeros(1, 4, 2, 2))
