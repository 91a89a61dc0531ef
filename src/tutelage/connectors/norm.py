"""Connector of NORM: expands the student's last map to many of the teacher's width, and back.

Liu et al., "NORM: Knowledge Distillation via N-to-One Representation Matching", ICLR 2023,
https://arxiv.org/abs/2305.13803.
"""

from __future__ import annotations

import torch.nn as nn
from torch import Tensor


class NormConnector(nn.Module):
    """Expand the student's last map to N representations of the teacher's width, and restore it.

    Expansion and reduction are 1×1 convolutions without bias, each followed by batch normalization and no ReLU. The
    restored map, added to the map itself, goes to global pooling and the student's classifier, so the connector is
    deployed with the student. As it is linear, it can be folded into one 1×1 convolution after training.

    Args:
        student_channels: Channels C_s of the student's last map.
        teacher_channels: Channels C_t of the teacher's last map.
        count: The number N of representations.

    Example:
        >>> import torch
        >>> from tutelage.connectors import NormConnector
        >>> restored, expanded = NormConnector(16, 64, count=8)(torch.randn(2, 16, 8, 8))
        >>> restored.shape, expanded.shape
        (torch.Size([2, 16, 8, 8]), torch.Size([2, 512, 8, 8]))
    """

    def __init__(self, student_channels: int, teacher_channels: int, count: int = 8) -> None:
        super().__init__()
        self.expand = _convolution(student_channels, count * teacher_channels)
        self.reduce = _convolution(count * teacher_channels, student_channels)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Return the restored map (B, C_s, H, W) and the expanded map (B, N·C_t, H, W)."""
        expanded = self.expand(features)
        return features + self.reduce(expanded), expanded


def _convolution(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, kernel_size=1, bias=False), nn.BatchNorm2d(outputs))
