"""What is special about CC: the series of its kernel, and RepDistiller's other loss of that name."""

from __future__ import annotations

import math

import pytest
import torch

from tutelage.errors import TutelageError
from tutelage.losses import cc_loss, cc_match


def test_a_long_series_is_the_gaussian_kernel() -> None:
    # angles of 90 and 0 degrees: the kernels of the pair differ by 1 − exp(−2γ), in two entries of four
    student, teacher = torch.eye(2, dtype=torch.float64), torch.ones(2, 2, dtype=torch.float64)
    expected = (1 - math.exp(-2 * 0.7)) ** 2 / 2
    assert cc_loss(student, teacher, gamma=0.7, order=30).item() == pytest.approx(expected)


def test_consecutive_differences_are_multiplied() -> None:
    student = torch.tensor([[1.0, 2.0], [3.0, -1.0], [0.0, 1.0]])
    assert cc_loss(student, torch.zeros(3, 2), form="consecutive").item() == (3 + 2 + 0 + 1) / 2
    assert cc_loss(student[:1], torch.zeros(1, 2), form="consecutive").item() == 0


def test_a_trained_layer_on_the_teachers_side_gets_a_gradient() -> None:
    teacher = torch.ones(2, 3, requires_grad=True)
    cc_match(torch.zeros(2, 3), teacher, form="consecutive").backward()
    assert teacher.grad is not None and teacher.grad.abs().sum() > 0


def test_wrong_options() -> None:
    features = torch.zeros(2, 3)
    with pytest.raises(TutelageError, match="unknown cc form 'kernels'"):
        cc_loss(features, features, form="kernels")  # type: ignore[arg-type]
    with pytest.raises(TutelageError, match="order = 0"):
        cc_loss(features, features, order=0)
    with pytest.raises(TutelageError, match=r"\(2, 3\).*\(2, 4\).*width"):
        cc_loss(features, torch.zeros(2, 4), form="consecutive")
