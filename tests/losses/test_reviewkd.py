"""ReviewKD: what is special to the hierarchical context loss."""

from __future__ import annotations

import pytest
import torch

from tutelage.errors import TutelageError
from tutelage.losses import hcl_loss, reviewkd_loss


def test_a_transposed_map_has_the_same_loss() -> None:
    student, teacher = torch.randn(2, 3, 8, 3), torch.randn(2, 3, 8, 3)
    assert hcl_loss(student.mT, teacher.mT).item() == pytest.approx(hcl_loss(student, teacher).item(), rel=1e-6)


def test_a_single_value_is_compared_once() -> None:
    assert hcl_loss(torch.full((2, 3, 1, 1), 2.0), torch.zeros(2, 3, 1, 1)).item() == 4


def test_unequal_levels_are_refused() -> None:
    maps = [torch.zeros(2, 3, 4, 4)]
    with pytest.raises(TutelageError, match="1 levels of the student and 2 of the teacher; tap as many"):
        reviewkd_loss(maps, maps * 2)
    with pytest.raises(TutelageError, match="ReviewKDConnector"):
        reviewkd_loss(maps, [torch.zeros(2, 5, 4, 4)])
