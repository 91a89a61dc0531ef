"""The projector of SimKD, between the student's last map and the teacher's classifier.

Chen et al., "Knowledge Distillation with the Reused Teacher Classifier", CVPR 2022, https://arxiv.org/abs/2203.14001.
"""

from __future__ import annotations

from torch import Tensor, nn

from tutelage.losses import pool_to
from tutelage.models.parts.register import parts


@parts.register("simkd_projector")
class SimKDProjector(nn.Sequential):
    """Bottleneck of 1×1, 3×3 and 1×1 convolutions to the teacher's channels.

    Each convolution has no bias and is followed by batch normalization and a ReLU. The inner width is ``outputs`` /
    ``factor``. Larger maps are average-pooled first.

    Args:
        inputs: Channels of the student's last map.
        outputs: Channels of the teacher's last map.
        size: Size (H, W) of the teacher's last map.
        factor: Reduction of the inner width.

    Example:
        >>> import torch
        >>> from tutelage.models import SimKDProjector
        >>> SimKDProjector(16, 64, size=(4, 4))(torch.randn(2, 16, 8, 8)).shape
        torch.Size([2, 64, 4, 4])
    """

    def __init__(self, inputs: int, outputs: int, size: tuple[int, int], factor: int = 2) -> None:
        inner = max(1, outputs // factor)
        super().__init__(
            _PoolTo(size),
            *_convolution(inputs, inner, kernel_size=1),
            *_convolution(inner, inner, kernel_size=3),
            *_convolution(inner, outputs, kernel_size=1),
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
