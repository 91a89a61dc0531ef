"""VGG networks (Simonyan & Zisserman 2015) for 32x32 images, as in the CRD benchmark (Tian et al. 2020)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from torch import Tensor, nn

from tutelage.models.own.initialization import initialize
from tutelage.models.own.register import networks

#: Convolutions in each block, by depth; the depth counts the three linear layers of the published networks.
CONVOLUTIONS = {
    8: (1, 1, 1, 1, 1),
    11: (1, 1, 2, 2, 2),
    13: (2, 2, 2, 2, 2),
    16: (2, 2, 3, 3, 3),
    19: (2, 2, 4, 4, 4),
}
_WIDTHS = (64, 128, 256, 512, 512)


class CifarVGG(nn.Module):
    """VGG of five blocks of 3x3 convolutions, each with bias, BN and ReLU, and one linear layer.

    Global average pooling precedes the linear layer. Input (B, 3, H, W) of any size from 8 px up, designed for 32x32;
    output (B, num_classes) logits. The blocks are ``block0`` to ``block4``; their outputs come after a ReLU and before
    the 2x2 max pooling that follows the first three: (B, 64, H, W), (B, 128, H/2, W/2), (B, 256, H/4, W/4),
    (B, 512, H/8, W/8), (B, 512, H/8, W/8). (The benchmark's code also pools after ``block3`` for images of 64 px; this
    network does not.) Convolutions are initialized from N(0, 2/(k² C_out)), the head from N(0, 0.01²), biases with 0.

    Args:
        convolutions: Number of convolutions in each block.
        num_classes: Number of classes.
    """

    def __init__(self, convolutions: Sequence[int], num_classes: int = 10) -> None:
        super().__init__()
        self.block0 = _block(3, _WIDTHS[0], convolutions[0])
        self.pool0 = nn.MaxPool2d(2)
        self.block1 = _block(_WIDTHS[0], _WIDTHS[1], convolutions[1])
        self.pool1 = nn.MaxPool2d(2)
        self.block2 = _block(_WIDTHS[1], _WIDTHS[2], convolutions[2])
        self.pool2 = nn.MaxPool2d(2)
        self.block3 = _block(_WIDTHS[2], _WIDTHS[3], convolutions[3])
        self.block4 = _block(_WIDTHS[3], _WIDTHS[4], convolutions[4])
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.fc = nn.Linear(_WIDTHS[4], num_classes)
        initialize(self, head_std=0.01)

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool0(self.block0(x))
        x = self.pool1(self.block1(x))
        x = self.pool2(self.block2(x))
        x = self.block4(self.block3(x))
        return self.fc(self.flatten(self.avgpool(x)))


def _block(in_channels: int, out_channels: int, convolutions: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for number in range(convolutions):
        channels = in_channels if number == 0 else out_channels
        layers += [nn.Conv2d(channels, out_channels, 3, padding=1), nn.BatchNorm2d(out_channels), nn.ReLU()]
    return nn.Sequential(*layers)


for _depth, _convolutions in CONVOLUTIONS.items():
    networks.register(f"vgg{_depth}")(partial(CifarVGG, _convolutions))
