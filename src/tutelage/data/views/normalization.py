"""What a network sees: un-normalised images, resized to its input and normalised with its mean and deviation."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor


class Normalization(nn.Module):
    """(x − mean) / std for images x in [0, 1], a channel at a time, after an antialiased bilinear resize where needed.

    ``mean`` and ``std`` have one number a channel; ``size`` is the (H, W) the network takes, None for any. The buffers
    are not part of the state dict.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float], size: tuple[int, int] | None = None) -> None:
        super().__init__()
        self.size = size
        self.register_buffer("mean", torch.tensor(mean).view(-1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(-1, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Returns float32 (B, C, h, w) of ``images`` (B, C, H, W): uint8 in 0 … 255, or floats in [0, 1]."""
        scale = 255.0 if images.dtype == torch.uint8 else 1.0
        images = images.float()
        if self.size is not None and tuple(images.shape[2:]) != self.size:
            images = F.interpolate(images, self.size, mode="bilinear", antialias=True)
        return (images - self.mean * scale) / (self.std * scale)

    def extra_repr(self) -> str:
        return f"mean={self.mean.flatten().tolist()}, std={self.std.flatten().tolist()}, size={self.size}"
