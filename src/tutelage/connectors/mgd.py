"""Connector of MGD: masks the student's map and generates the teacher's from the rest.

Yang et al., "Masked Generative Distillation", ECCV 2022, https://arxiv.org/abs/2205.01529.
"""

from __future__ import annotations

from typing import Literal

import torch.nn as nn
from torch import Tensor

from tutelage.losses import mgd_mask


class MGDGenerator(nn.Module):
    """Align the channels of the student's map, mask it, and generate the teacher's map from what is left.

    The alignment is a 1×1 convolution, left out if the channels are equal. The generator is a 3×3 convolution, a ReLU
    and a 3×3 convolution.

    Args:
        student_channels: Channels C_s of the student's map.
        teacher_channels: Channels C_t of the teacher's map.
        ratio: Share of masked channels or positions, from 0 to 1.
        mask: "channel" or "position", see ``mgd_mask``.

    Example:
        >>> import torch
        >>> from tutelage.connectors import MGDGenerator
        >>> MGDGenerator(16, 64)(torch.randn(2, 16, 8, 8)).shape
        torch.Size([2, 64, 8, 8])
    """

    def __init__(
        self,
        student_channels: int,
        teacher_channels: int,
        ratio: float = 0.15,
        mask: Literal["channel", "position"] = "channel",
    ) -> None:
        super().__init__()
        self.ratio = ratio
        self.mask = mask
        equal = student_channels == teacher_channels
        self.align = nn.Identity() if equal else nn.Conv2d(student_channels, teacher_channels, kernel_size=1)
        self.generator = nn.Sequential(
            nn.Conv2d(teacher_channels, teacher_channels, kernel_size=3, padding=1),
            nn.ReLU(),
            nn.Conv2d(teacher_channels, teacher_channels, kernel_size=3, padding=1),
        )

    def forward(self, features: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return the generated map (B, C_t, H, W); a ``mask`` of None is drawn from the default generator."""
        aligned = self.align(features)
        mask = mgd_mask(aligned, ratio=self.ratio, mask=self.mask) if mask is None else mask
        return self.generator(aligned * mask)
