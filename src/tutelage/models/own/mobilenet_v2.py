"""MobileNetV2 (Sandler et al. 2018) for 32x32 images, at half width, as in the CRD benchmark (Tian et al. 2020)."""

from __future__ import annotations

from functools import partial

from torch import Tensor, nn

from tutelage.models.own.initialization import initialize
from tutelage.models.own.register import networks

_EXPANSION = 6
_LAST_CHANNELS = 1280


class InvertedResidual(nn.Module):
    """Inverted residual block bn(conv1x1(relu(bn(conv3x3(relu(bn(conv1x1(x)))))))), plus x if the shapes are equal.

    The 3x3 convolution is depthwise. The first convolution multiplies the channels by ``expansion``. The last one has
    no activation (linear bottleneck).
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int, expansion: int) -> None:
        super().__init__()
        width = expansion * in_channels
        self.conv1 = nn.Conv2d(in_channels, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(width, width, 3, stride=stride, padding=1, groups=width, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.relu2 = nn.ReLU()
        self.conv3 = nn.Conv2d(width, out_channels, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(out_channels)
        self.residual = stride == 1 and in_channels == out_channels

    def forward(self, x: Tensor) -> Tensor:
        out = self.relu1(self.bn1(self.conv1(x)))
        out = self.relu2(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        return out + x if self.residual else out


class CifarMobileNetV2(nn.Module):
    """MobileNetV2 with a 3x3 stem of stride 2, four levels, a 1x1 convolution to 1280 channels and a linear head.

    Global average pooling precedes the head. Input (B, 3, H, W) of any size from 16 px up, designed for 32x32; output
    (B, num_classes) logits. The levels are ``layer1`` to ``layer4``, at strides 1, 2, 2, 2; their outputs are linear
    bottlenecks or their sums, without ReLU: (B, 24w, H/2, W/2), (B, 32w, H/4, W/4), (B, 96w, H/8, W/8),
    (B, 320w, H/16, W/16) for ``width`` w. As in the benchmark's code, it uses ReLU, not ReLU6, and expands in the first
    block too. Convolutions are initialized from N(0, 2/(k² C_out)), the head from N(0, 0.01²) with bias 0.

    Args:
        width: Factor on all channels except the last 1280. The benchmark uses 0.5.
        num_classes: Number of classes.
    """

    def __init__(self, width: float, num_classes: int = 10) -> None:
        super().__init__()
        stem, *channels = (int(width * base) for base in (32, 16, 24, 32, 64, 96, 160, 320))
        self.conv1 = nn.Conv2d(3, stem, 3, stride=2, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(stem)
        self.relu1 = nn.ReLU()
        first = InvertedResidual(stem, channels[0], 1, 1)
        self.layer1 = nn.Sequential(first, *_group(channels[0], channels[1], 2, 1))
        self.layer2 = nn.Sequential(*_group(channels[1], channels[2], 3, 2))
        self.layer3 = nn.Sequential(*_group(channels[2], channels[3], 4, 2), *_group(channels[3], channels[4], 3, 1))
        self.layer4 = nn.Sequential(*_group(channels[4], channels[5], 3, 2), *_group(channels[5], channels[6], 1, 1))
        self.conv2 = nn.Conv2d(channels[6], _LAST_CHANNELS, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(_LAST_CHANNELS)
        self.relu2 = nn.ReLU()
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.fc = nn.Linear(_LAST_CHANNELS, num_classes)
        initialize(self, head_std=0.01)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu1(self.bn1(self.conv1(x)))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        x = self.relu2(self.bn2(self.conv2(x)))
        return self.fc(self.flatten(self.avgpool(x)))


def _group(in_channels: int, out_channels: int, blocks: int, stride: int) -> list[InvertedResidual]:
    first = InvertedResidual(in_channels, out_channels, stride, _EXPANSION)
    return [first, *(InvertedResidual(out_channels, out_channels, 1, _EXPANSION) for _ in range(blocks - 1))]


networks.register("mobilenet_v2_half")(partial(CifarMobileNetV2, 0.5))
