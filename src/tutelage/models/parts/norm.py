"""The parts of NORM: the expansion of the student's last map to many of the teacher's width, and normalized logits.

Liu et al., "NORM: Knowledge Distillation via N-to-One Representation Matching", ICLR 2023,
https://arxiv.org/abs/2305.13803.
"""

from __future__ import annotations

from torch import Tensor, nn

from tutelage.losses import norm_logits
from tutelage.models.parts.register import parts


@parts.register("norm_expansion")
class NormExpansion(nn.Module):
    """Expand a map to N representations of the teacher's width, restore it, and add the map itself.

    Expansion and reduction are 1×1 convolutions without bias, each followed by batch normalization and no ReLU. After
    training they are linear, and can be folded into one 1×1 convolution. The loss reads the output of ``expand``.

    Args:
        channels: Channels C_s of the student's last map.
        teacher_channels: Channels C_t of the teacher's last map.
        count: The number N of representations.

    Example:
        >>> import torch
        >>> from tutelage.models import NormExpansion
        >>> part = NormExpansion(16, 64, count=8)
        >>> part(torch.randn(2, 16, 8, 8)).shape, part.expand(torch.randn(2, 16, 8, 8)).shape
        (torch.Size([2, 16, 8, 8]), torch.Size([2, 512, 8, 8]))
    """

    def __init__(self, channels: int, teacher_channels: int, count: int = 8) -> None:
        super().__init__()
        self.expand = _convolution(channels, count * teacher_channels)
        self.reduce = _convolution(count * teacher_channels, channels)

    def forward(self, features: Tensor) -> Tensor:
        return features + self.reduce(self.expand(features))


@parts.register("norm_logits")
class NormLogits(nn.Module):
    """Normalize logits over the classes and scale them; see ``losses.norm_logits``.

    Args:
        scale: The factor after normalization.

    Example:
        >>> import torch
        >>> from tutelage.models.parts.norm import NormLogits
        >>> NormLogits(scale=2.5)(torch.tensor([[-4.0, 4.0]]))
        tensor([[-2.5000,  2.5000]])
    """

    def __init__(self, scale: float = 2.5) -> None:
        super().__init__()
        self.scale = scale

    def forward(self, logits: Tensor) -> Tensor:
        return norm_logits(logits, scale=self.scale)


def _convolution(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, kernel_size=1, bias=False), nn.BatchNorm2d(outputs))
