from __future__ import annotations

import pytest
import torch

from tutelage.errors import TutelageError
from tutelage.losses import kd_loss, ldrld_loss


def test_pairs_of_close_rank_at_the_top_count_most() -> None:
    """Moving the teacher's logits of the best two classes apart costs more than moving those of two later ones."""
    student = torch.arange(6.0, 0.0, -1.0)[None]
    best, later = student.clone(), student.clone()
    best[0, 0] += 1
    later[0, 4] += 1
    assert ldrld_loss(student, best, k=6).item() > ldrld_loss(student, later, k=6).item()


def test_all_classes_leave_no_rest() -> None:
    student, teacher = torch.randn(2, 4, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    expected = ldrld_loss(student, teacher, beta=0.0, k=5).item()
    assert ldrld_loss(student, teacher, beta=99.0, k=5).item() == pytest.approx(expected)


def test_rest_is_kd_of_the_other_classes() -> None:
    student, teacher = torch.randn(2, 4, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    student[:, :2] += 10
    expected = kd_loss(student[:, 2:], teacher[:, 2:]).item()
    assert ldrld_loss(student, teacher, alpha=0.0, beta=1.0, k=2).item() == pytest.approx(expected)


@pytest.mark.parametrize("k", [1, 4])
def test_number_of_classes_is_checked(k: int) -> None:
    with pytest.raises(TutelageError, match=rf"expected k between 2 and the number of classes, 3, got {k}"):
        ldrld_loss(torch.zeros(1, 3), torch.zeros(1, 3), k=k)
