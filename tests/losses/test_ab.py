"""What is special about AB: a target of signs alone, and nothing to gain beyond the margin."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tutelage.connectors import ab_connector
from tutelage.errors import TutelageError
from tutelage.losses import ab_loss, ab_target


def test_only_the_teachers_signs_matter() -> None:
    student, teacher = torch.randn(2, 2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    assert ab_loss(student, 100 * teacher).equal(ab_loss(student, teacher))
    assert ab_target(teacher).dtype == torch.bool


def test_right_signs_beyond_the_margin_are_no_loss() -> None:
    teacher = torch.tensor([[[[-1.0, 1.0]]]])
    student = torch.tensor([[[[-2.0, 2.0]]]], requires_grad=True)
    loss = ab_loss(student, teacher, margin=2.0)
    loss.backward()
    assert loss.item() == 0
    assert student.grad is not None and not student.grad.any()


def test_connector_keeps_signs_and_equal_shapes() -> None:
    assert isinstance(ab_connector((4, 8, 8), (4, 8, 8)), nn.Identity)
    out = ab_connector((4, 8, 8), (6, 4, 4))(torch.randn(2, 4, 8, 8))
    assert out.shape == (2, 6, 4, 4) and out.min() < 0 < out.max()


def test_negative_margins_are_refused() -> None:
    with pytest.raises(TutelageError, match="margin = -1.0"):
        ab_loss(torch.zeros(1, 2, 2, 2), torch.zeros(1, 2, 2, 2), margin=-1.0)
