"""Pooling layer of fastai's heads."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class ConcatPool(nn.Module):
    """Global pooling to the maximum and the mean of each channel, (B, C, H, W) → (B, 2C, 1, 1)."""

    def __init__(self) -> None:
        super().__init__()
        self.maximum = nn.AdaptiveMaxPool2d(1)
        self.mean = nn.AdaptiveAvgPool2d(1)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.maximum(x), self.mean(x)], 1)
