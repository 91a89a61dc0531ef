"""Connectors give the teacher's shape, or its channels where the loss pools the rest."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tutelage.connectors import adapter, paper_regressor, projector, regressor


@pytest.mark.parametrize(
    ("student", "teacher", "expected", "kind", "kernel"),
    [
        ((16, 8, 8), (32, 8, 8), (32, 8, 8), nn.Conv2d, (1, 1)),
        ((16, 16, 16), (32, 8, 8), (32, 8, 8), nn.Conv2d, (3, 3)),
        ((16, 8, 8), (32, 16, 16), (32, 16, 16), nn.ConvTranspose2d, (4, 4)),
        ((16, 10, 9), (32, 8, 8), (32, 8, 8), nn.Conv2d, (3, 2)),
        ((16, 5, 5), (32, 8, 8), (32, 5, 5), nn.Conv2d, (1, 1)),
    ],
    ids=["same", "half", "double", "valid", "smaller"],
)
def test_regressor_shapes(
    student: tuple[int, ...],
    teacher: tuple[int, ...],
    expected: tuple[int, ...],
    kind: type[nn.Module],
    kernel: tuple[int, int],
) -> None:
    connector = regressor(student, teacher)
    assert connector(torch.randn(2, *student)).shape == (2, *expected)
    assert type(connector[0]) is kind and connector[0].kernel_size == kernel


def test_a_relu_follows_only_where_the_teacher_has_one() -> None:
    assert isinstance(projector((4, 8, 8), (6, 8, 8))[-1], nn.ReLU)
    plain = projector((4, 8, 8), (6, 8, 8), relu=False)
    assert isinstance(plain[-1], nn.BatchNorm2d) and plain[0].bias is None
    assert plain(torch.randn(2, 4, 8, 8)).min() < 0


def test_the_papers_regressor_is_a_valid_convolution_alone() -> None:
    connector = paper_regressor((16, 10, 9), (32, 8, 8))
    assert connector(torch.randn(2, 16, 10, 9)).shape == (2, 32, 8, 8)
    assert [type(layer) for layer in connector] == [nn.Conv2d, nn.ReLU]
    assert connector[0].weight.abs().max() <= 0.05 and (connector[0].bias == 0).all()
    assert [type(layer) for layer in paper_regressor((16, 4, 4), (32, 8, 8), relu=False)] == [nn.Conv2d]


def test_an_adapter_is_nothing_where_channels_agree() -> None:
    assert isinstance(adapter((16, 8, 8), (16, 4, 4)), nn.Identity)
    assert adapter((16, 8, 8), (32, 8, 8))(torch.randn(2, 16, 8, 8)).shape == (2, 32, 8, 8)
