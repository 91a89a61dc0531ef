"""Connector of SimKD: the projector that is deployed with the student.

Chen et al., "Knowledge Distillation with the Reused Teacher Classifier", CVPR 2022, https://arxiv.org/abs/2203.14001.
"""

from __future__ import annotations

import torch.nn as nn
from torch import Tensor

from tutelage.losses import pool_to

Shape = tuple[int, ...]


def simkd_projector(student: Shape, teacher: Shape, factor: int = 2) -> nn.Sequential:
    """Return the bottleneck projector of SimKD: 1×1, 3×3 and 1×1 convolutions to the teacher's channels.

    Each convolution has no bias and is followed by batch normalization and a ReLU. The inner width is C_t / ``factor``.
    A student map that is larger than the teacher's is average-pooled first.

    Args:
        student: Shape (C_s, H_s, W_s) of the student's last map.
        teacher: Shape (C_t, H_t, W_t) of the teacher's last map.
        factor: Reduction of the inner width.

    Returns:
        The projector, (B, C_s, H_s, W_s) → (B, C_t, H, W) with the smaller height and width of the two.

    Example:
        >>> import torch
        >>> from tutelage.connectors import simkd_projector
        >>> simkd_projector((16, 8, 8), (64, 4, 4))(torch.randn(2, 16, 8, 8)).shape
        torch.Size([2, 64, 4, 4])
    """
    inner = max(1, teacher[0] // factor)
    return nn.Sequential(
        _PoolTo((teacher[1], teacher[2])),
        *_convolution(student[0], inner, kernel_size=1),
        *_convolution(inner, inner, kernel_size=3),
        *_convolution(inner, teacher[0], kernel_size=1),
    )


class _PoolTo(nn.Module):
    """Average-pool maps that are larger than a size."""

    def __init__(self, size: tuple[int, int]) -> None:
        super().__init__()
        self.size = size

    def forward(self, features: Tensor) -> Tensor:
        return pool_to(features, self.size)


def _convolution(inputs: int, outputs: int, kernel_size: int) -> list[nn.Module]:
    convolution = nn.Conv2d(inputs, outputs, kernel_size, padding=kernel_size // 2, bias=False)
    return [convolution, nn.BatchNorm2d(outputs), nn.ReLU()]
