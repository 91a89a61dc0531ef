"""Trained parts of FT (factor transfer): the teacher's paraphraser and the student's translator.

Kim, Park and Kwak, "Paraphrasing Complex Network: Network Compression via Factor Transfer", NeurIPS 2018,
https://arxiv.org/abs/1802.04977.
"""

from __future__ import annotations

import torch.nn as nn
from torch import Tensor

from tutelage.errors import TutelageError

SLOPE = 0.1


class Paraphraser(nn.Module):
    """Compress the teacher's features to a factor of fewer channels.

    Three 3×3 convolutions, each followed by a leaky ReLU, and for its own training a decoder of three transposed ones.
    It is trained to reconstruct the teacher's features and frozen before the student is trained.

    Args:
        channels: Channels C of the teacher's features.
        k: Channels of the factor as a share of C. The usual value is 0.5.

    Raises:
        TutelageError: If the factor would have no channels.

    Example:
        >>> import torch
        >>> from tutelage.connectors import Paraphraser
        >>> paraphraser = Paraphraser(64, k=0.5)
        >>> features = torch.randn(2, 64, 8, 8)
        >>> paraphraser(features).shape, paraphraser.reconstruct(features).shape
        (torch.Size([2, 32, 8, 8]), torch.Size([2, 64, 8, 8]))
    """

    def __init__(self, channels: int, *, k: float = 0.5) -> None:
        super().__init__()
        factor = int(channels * k)
        if factor < 1:
            raise TutelageError(f"ft: k = {k} of {channels} channels leaves none; the usual value is 0.5")
        self.encoder = _three(nn.Conv2d, (channels, channels, factor, factor))
        self.decoder = _three(nn.ConvTranspose2d, (factor, factor, channels, channels))

    def forward(self, features: Tensor) -> Tensor:
        """Return the factor (B, k·C, H, W) of features (B, C, H, W)."""
        return self.encoder(features)

    def reconstruct(self, features: Tensor) -> Tensor:
        """Return what the decoder makes of the factor (B, C, H, W)."""
        return self.decoder(self.encoder(features))


def translator(student_channels: int, factor_channels: int, *, norm: bool = False) -> nn.Sequential:
    """Return the translator of FT, which maps the student's features to the channels of the teacher's factor.

    Three 3×3 convolutions, each followed by a leaky ReLU.

    Args:
        student_channels: Channels of the student's features.
        factor_channels: Channels of the teacher's factor.
        norm: Whether to add batch normalization after each convolution, as RepDistiller does.

    Returns:
        The translator, (B, C_s, H, W) → (B, F, H, W).

    Example:
        >>> import torch
        >>> from tutelage.connectors import translator
        >>> translator(16, 32)(torch.randn(2, 16, 8, 8)).shape
        torch.Size([2, 32, 8, 8])
    """
    return _three(nn.Conv2d, (student_channels, student_channels, factor_channels, factor_channels), norm)


def _three(
    convolution: type[nn.Conv2d] | type[nn.ConvTranspose2d], channels: tuple[int, int, int, int], norm: bool = False
) -> nn.Sequential:
    layers: list[nn.Module] = []
    for inner, outer in zip(channels, channels[1:]):
        layers.append(convolution(inner, outer, kernel_size=3, padding=1))
        if norm:
            layers.append(nn.BatchNorm2d(outer))
        layers.append(nn.LeakyReLU(SLOPE))
    return nn.Sequential(*layers)
