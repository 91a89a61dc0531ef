"""Connector of ReviewKD: attention-based fusion of the student's levels, from deep to shallow.

Chen, Liu, Zhao and Jia, "Distilling Knowledge via Knowledge Review", CVPR 2021, https://arxiv.org/abs/2104.09044.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

Shape = tuple[int, ...]
WIDEST = 512


class ReviewKDConnector(nn.Module):
    """Fuse the student's maps from deep to shallow and map each level to the teacher's shape.

    Every level is reduced to ``mid_channels`` by a 1×1 convolution. It is added to the fused map of the level below it,
    both weighted by spatial attention (ABF in the paper), resized to the teacher's size, and expanded to the teacher's
    channels by a 3×3 convolution. Maps are resized with nearest neighbors.

    Args:
        student: Shapes (C, H, W) of the student's maps, shallow to deep. A shape (D,) is an embedding, which counts as
            a 1×1 map.
        teacher: Shapes of the teacher's maps, in the same order.
        mid_channels: Channels of the fused maps. None uses the student's deepest level, at most 512.

    Example:
        >>> import torch
        >>> from tutelage.connectors import ReviewKDConnector
        >>> connector = ReviewKDConnector([(16, 8, 8), (32, 4, 4)], [(24, 8, 8), (48, 2, 2)])
        >>> [maps.shape[1:] for maps in connector(torch.randn(2, 16, 8, 8), torch.randn(2, 32, 4, 4))]
        [torch.Size([24, 8, 8]), torch.Size([48, 2, 2])]
    """

    def __init__(self, student: Sequence[Shape], teacher: Sequence[Shape], mid_channels: int | None = None) -> None:
        super().__init__()
        mid = mid_channels or min(WIDEST, student[-1][0])
        deepest = len(student) - 1
        self.sizes = [_size(shape) for shape in teacher]
        self.levels = nn.ModuleList(
            _Level(s[0], mid, t[0], fused=level < deepest) for level, (s, t) in enumerate(zip(student, teacher))
        )

    def forward(self, *maps: Tensor) -> tuple[Tensor, ...]:
        """Return the fused maps, shallow to deep, in the teacher's shapes."""
        fused: list[Tensor] = []
        deeper = None
        for level, features, size in reversed(list(zip(self.levels, maps, self.sizes))):
            expanded, deeper = level(features.reshape(*features.shape[:2], *_size(features.shape[1:])), deeper, size)
            fused.insert(0, expanded)
        return tuple(fused)


class _Level(nn.Module):
    """One level: reduce, fuse with the deeper level (unless there is none), resize and expand."""

    def __init__(self, student_channels: int, mid: int, teacher_channels: int, fused: bool) -> None:
        super().__init__()
        self.reduce = _convolution(student_channels, mid, kernel_size=1)
        self.attention = nn.Conv2d(2 * mid, 2, kernel_size=1) if fused else None
        self.expand = _convolution(mid, teacher_channels, kernel_size=3)

    def forward(self, features: Tensor, deeper: Tensor | None, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
        own = self.reduce(features)
        if self.attention is not None and deeper is not None:
            deeper = _resize(deeper, (own.shape[2], own.shape[3]))
            weights = self.attention(torch.cat([own, deeper], dim=1)).sigmoid()
            own = own * weights[:, :1] + deeper * weights[:, 1:]
        own = _resize(own, size)
        return self.expand(own), own


def _convolution(inputs: int, outputs: int, kernel_size: int) -> nn.Sequential:
    convolution = nn.Conv2d(inputs, outputs, kernel_size, padding=kernel_size // 2, bias=False)
    nn.init.kaiming_uniform_(convolution.weight, a=1)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs))


def _size(shape: Shape) -> tuple[int, int]:
    """The height and width of a shape (C, H, W), or of an embedding (D,) as a 1×1 map."""
    return (shape[1], shape[2]) if len(shape) == 3 else (1, 1)


def _resize(features: Tensor, size: tuple[int, int]) -> Tensor:
    return features if features.shape[2:] == size else F.interpolate(features, size, mode="nearest")
