"""WKD-F: means and deviations of cells."""

from __future__ import annotations

import pytest
import torch

from tutelage.errors import TutelageError
from tutelage.losses import wkd_f_loss


def test_a_shift_moves_the_means_alone() -> None:
    teacher = torch.randn(2, 3, 6, 5, dtype=torch.float64)
    assert wkd_f_loss(teacher + 2, teacher, ratio=5.0).item() == pytest.approx(5 * 3 * 4)
    assert wkd_f_loss(teacher + 2, teacher, ratio=0.0).item() == pytest.approx(0, abs=1e-12)


def test_the_order_of_positions_does_not_matter_within_a_cell() -> None:
    student, teacher = torch.randn(2, 2, 3, 4, 4)
    assert wkd_f_loss(student.mT, teacher).item() == pytest.approx(wkd_f_loss(student, teacher).item(), rel=1e-5)
    assert wkd_f_loss(student.mT, teacher, grid=2).item() != pytest.approx(wkd_f_loss(student, teacher, grid=2).item())


@pytest.mark.parametrize("grid", [1, 2, 4])
def test_constant_channels_and_single_values_have_a_finite_gradient(grid: int) -> None:
    student = torch.ones(2, 3, 2, 2, requires_grad=True)
    loss = wkd_f_loss(student, torch.randn(2, 3, 8, 8), grid=grid)
    loss.backward()
    assert loss.isfinite() and student.grad is not None and student.grad.isfinite().all()


def test_errors_name_the_remedy() -> None:
    with pytest.raises(TutelageError, match="grid 0 must be positive"):
        wkd_f_loss(torch.zeros(2, 3, 4, 4), torch.zeros(2, 3, 4, 4), grid=0)
    with pytest.raises(TutelageError, match="add a connector"):
        wkd_f_loss(torch.zeros(2, 5, 4, 4), torch.zeros(2, 3, 4, 4))
