from __future__ import annotations

import pytest
import torch

from oracles.ofd import ofd_margin as by_quadrature
from tutelage.errors import TutelageError
from tutelage.losses import ofd_loss, ofd_margin, ofd_measured_margin, ofd_target

# from all but never negative (3.2 deviations above zero: Φ < 0.001) to always, negative weights and zeros among them
WEIGHT = [1.0, 0.5, -2.0, 1.0, 1.0, 0.1, 0.3, 0.0, 0.0, 0.0]
BIAS = [0.0, 1.0, 3.0, 3.05, 3.2, 9.0, -5.0, 1.0, -1.0, 0.0]


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-6), (torch.float32, 1e-4)])
def test_margin_is_the_mean_of_negatives(dtype: torch.dtype, tolerance: float) -> None:
    margin = ofd_margin(torch.tensor(WEIGHT, dtype=dtype), torch.tensor(BIAS, dtype=dtype))
    assert margin.dtype == dtype
    assert margin.tolist() == pytest.approx(by_quadrature(WEIGHT, BIAS), abs=tolerance)


def test_margin_is_the_mean_of_sampled_negatives() -> None:
    samples = 0.4 + 1.5 * torch.randn(200_000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    margin = ofd_margin(torch.tensor([1.5]), torch.tensor([0.4]))
    assert margin.item() == pytest.approx(samples[samples < 0].mean().item(), abs=0.02)


def test_margin_of_a_layers_parameters_is_detached() -> None:
    norm = torch.nn.BatchNorm2d(3)
    assert not ofd_margin(norm.weight, norm.bias).requires_grad


def test_target_is_clipped_at_each_channels_margin() -> None:
    teacher = torch.tensor([-3.0, 0.5]).expand(1, 2, 1, 2)
    assert ofd_target(teacher, torch.tensor([-1.0, -2.0])).tolist() == [[[[-1.0, 0.5]], [[-2.0, 0.5]]]]


def test_no_pull_where_student_is_below_a_negative_target() -> None:
    student = torch.tensor([-2.0, -0.5, 1.0, -2.0]).reshape(1, 1, 1, 4).requires_grad_()
    teacher = torch.tensor([-5.0, -5.0, -5.0, 2.0]).reshape(1, 1, 1, 4)
    loss = ofd_loss(student, teacher, torch.tensor([-1.0]))
    loss.backward()
    assert loss.item() == pytest.approx(0.25 + 4 + 16)
    assert student.grad is not None
    assert student.grad.flatten().tolist() == [0.0, 1.0, 4.0, -8.0]


def test_errors_name_the_way_out() -> None:
    with pytest.raises(TutelageError, match=r"\(3,\).*4 channels"):
        ofd_loss(torch.rand(2, 4, 2, 2), torch.rand(2, 4, 2, 2), torch.zeros(3))
    with pytest.raises(TutelageError, match=r"\(2, 3, 2, 2\).*\(2, 4, 2, 2\).*connector"):
        ofd_loss(torch.rand(2, 3, 2, 2), torch.rand(2, 4, 2, 2), torch.zeros(4))


def test_measured_margin_by_hand() -> None:
    features = torch.tensor([[[[-1.0, 2.0]], [[3.0, 4.0]]], [[[-4.0, -1.0]], [[0.0, 5.0]]]])
    assert ofd_measured_margin(features).tolist() == [-2.0, 0.0]


def test_measured_margin_is_about_the_normalisations() -> None:
    weight, bias = torch.tensor([1.0, 0.5, 2.0]), torch.tensor([0.0, 0.5, -1.0])
    draws = torch.randn(64, 3, 40, 40, generator=torch.Generator().manual_seed(0))
    made = draws * weight.view(-1, 1, 1) + bias.view(-1, 1, 1)
    torch.testing.assert_close(ofd_measured_margin(made), ofd_margin(weight, bias), atol=0.02, rtol=0.02)
