"""Connector of OFA-KD: exits that turn the student's maps into logits.

Hao et al., "One-for-All: Bridge the Gap Between Heterogeneous Architectures in Knowledge Distillation", NeurIPS 2023,
https://arxiv.org/abs/2310.19444.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn as nn
from torch import Tensor

STAGES = 4


class OFAExits(nn.Module):
    """Give the student an exit with logits at each of the tapped stages.

    An exit at stage s of four reads the map through 4 − s blocks, global average pooling and a linear layer. Each block
    halves the sides and doubles the channels with two depthwise-separable 3×3 convolutions; the last block ends at
    ``width`` channels. The exit at the last stage has a 1×1 convolution instead of blocks.

    Args:
        channels: Channels of the student's maps.
        num_classes: Number of classes K.
        width: Channels before the linear layers. The authors use the longer of the two networks' embeddings.
        stages: Stage of each map, from 1 to 4. None means that the maps are those of the last stages.

    Example:
        >>> import torch
        >>> from tutelage.connectors import OFAExits
        >>> exits = OFAExits([16, 32], num_classes=10, width=64)
        >>> [logits.shape for logits in exits(torch.randn(2, 16, 8, 8), torch.randn(2, 32, 4, 4))]
        [torch.Size([2, 10]), torch.Size([2, 10])]
    """

    def __init__(
        self, channels: Sequence[int], num_classes: int, width: int, stages: Sequence[int] | None = None
    ) -> None:
        super().__init__()
        stages = range(STAGES + 1 - len(channels), STAGES + 1) if stages is None else stages
        self.exits = nn.ModuleList(
            nn.Sequential(_body(own, width, STAGES - stage), _GlobalMean(), nn.Linear(width, num_classes))
            for own, stage in zip(channels, stages)
        )

    def forward(self, *maps: Tensor) -> tuple[Tensor, ...]:
        """Return the logits (B, K) of each exit."""
        return tuple(exit_(features) for exit_, features in zip(self.exits, maps))


class _GlobalMean(nn.Module):
    """Global average pooling."""

    def forward(self, features: Tensor) -> Tensor:
        return features.mean((2, 3))


def _body(channels: int, width: int, blocks: int) -> nn.Module:
    if blocks == 0:
        return nn.Conv2d(channels, width, kernel_size=1)
    layers: list[nn.Module] = []
    for block in range(blocks):
        outputs = width if block == blocks - 1 else 2 * channels
        layers += [*_separable(channels, channels, stride=2), *_separable(channels, outputs, stride=1)]
        channels = outputs
    return nn.Sequential(*layers)


def _separable(inputs: int, outputs: int, stride: int) -> list[nn.Module]:
    return [
        nn.Conv2d(inputs, inputs, kernel_size=3, stride=stride, padding=1, groups=inputs, bias=False),
        nn.Conv2d(inputs, outputs, kernel_size=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    ]
