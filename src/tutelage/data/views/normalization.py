"""Normalization of images to a network's input size, mean and standard deviation."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor


class Normalization(nn.Module):
    """Normalization (x − mean) / std per channel for images x in [0, 1], after resizing them if needed.

    Images of another size than ``size`` are resized bilinearly with antialiasing. The buffers ``mean`` and ``std`` are
    not part of the state dict.

    Args:
        mean: Mean per channel.
        std: Standard deviation per channel.
        size: Input size (H, W) of the network. None if it accepts any size.

    Example:
        >>> import torch
        >>> from tutelage.data import Normalization
        >>> normalization = Normalization(mean=[0.5] * 3, std=[0.25] * 3, size=(2, 2))
        >>> normalization(torch.zeros(1, 3, 4, 4, dtype=torch.uint8))[0, 0]
        tensor([[-2., -2.],
                [-2., -2.]])
    """

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float], size: tuple[int, int] | None = None) -> None:
        super().__init__()
        self.size = size
        self.register_buffer("mean", torch.tensor(mean).view(-1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(-1, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Return normalized images.

        Args:
            images: Images (B, C, H, W), uint8 in 0 … 255 or floats in [0, 1].

        Returns:
            Normalized images (B, C, h, w), float32.
        """
        scale = 255.0 if images.dtype == torch.uint8 else 1.0
        images = images.float()
        if self.size is not None and tuple(images.shape[2:]) != self.size:
            images = F.interpolate(images, self.size, mode="bilinear", antialias=True)
        return (images - self.mean * scale) / (self.std * scale)

    def extra_repr(self) -> str:
        return f"mean={self.mean.flatten().tolist()}, std={self.std.flatten().tolist()}, size={self.size}"
