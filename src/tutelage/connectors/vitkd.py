"""Connector of ViTKD: aligns the tokens of early layers and generates masked tokens of the last layer.

Yang et al., "ViTKD: Practical Guidelines for ViT Feature Knowledge Distillation", 2022,
https://arxiv.org/abs/2209.02432.
"""

from __future__ import annotations

import math

import torch
import torch.nn as nn
from torch import Tensor

from tutelage.errors import TutelageError
from tutelage.losses import vitkd_mask


class ViTKDConnector(nn.Module):
    """Align the tokens of the early layers, and generate the last layer's tokens from those that are not masked.

    Each tap has a linear layer to the teacher's width, left out if the widths are equal. Masked tokens of the last
    layer are replaced by one learned token; a 3×3 convolution, a ReLU and a 3×3 convolution over the square grid of
    patches generate all tokens.

    Args:
        student_width: Width D_s of the student's tokens.
        teacher_width: Width D_t of the teacher's tokens.
        early_layers: Number of early layers. The authors use the first two.
        ratio: Share of masked tokens, from 0 to 1.

    Example:
        >>> import torch
        >>> from tutelage.connectors import ViTKDConnector
        >>> first, second, last = torch.randn(3, 2, 16, 8)
        >>> low, high, mask = ViTKDConnector(student_width=8, teacher_width=12)(first, second, last)
        >>> low.shape, high.shape, mask.shape
        (torch.Size([2, 2, 16, 12]), torch.Size([2, 16, 12]), torch.Size([2, 16]))
    """

    def __init__(self, student_width: int, teacher_width: int, early_layers: int = 2, ratio: float = 0.5) -> None:
        super().__init__()
        self.ratio = ratio
        self.align_low = nn.ModuleList(_alignment(student_width, teacher_width) for _ in range(early_layers))
        self.align_high = _alignment(student_width, teacher_width)
        self.mask_token = nn.Parameter(torch.zeros(1, 1, teacher_width))
        self.generator = nn.Sequential(
            nn.Conv2d(teacher_width, teacher_width, kernel_size=3, padding=1),
            nn.ReLU(),
            nn.Conv2d(teacher_width, teacher_width, kernel_size=3, padding=1),
        )

    def forward(self, *tokens: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """Return the early layers' tokens (B, L, N, D_t), the generated tokens (B, N, D_t) and the mask (B, N).

        Args:
            tokens: The patch tokens (B, N, D_s) of the early layers and, last, of the last layer.
            mask: True where a token of the last layer is masked. None draws it from the default generator.
        """
        *early, last = tokens
        low = torch.stack([align(own) for align, own in zip(self.align_low, early)], dim=1)
        high = self.align_high(last)
        mask = vitkd_mask(high, ratio=self.ratio) if mask is None else mask
        side = math.isqrt(high.shape[1])
        if side**2 != high.shape[1]:
            raise TutelageError(
                f"vitkd: {high.shape[1]} tokens are not a square grid; drop the class token and use square images"
            )
        visible = torch.where(mask[:, :, None], self.mask_token.to(high.dtype), high)
        return low, self.generator(visible.mT.unflatten(2, (side, side))).flatten(2).mT, mask


def _alignment(student_width: int, teacher_width: int) -> nn.Module:
    return nn.Identity() if student_width == teacher_width else nn.Linear(student_width, teacher_width)
