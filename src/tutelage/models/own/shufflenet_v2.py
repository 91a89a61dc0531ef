"""ShuffleNetV2 (Ma et al. 2018) for 32x32 images, as in the CRD benchmark (Tian et al. 2020)."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn

from tutelage.models.own.register import networks
from tutelage.models.own.shuffle import ChannelShuffle

_STEM_WIDTH = 24
_LAST_CHANNELS = 1024


class ShuffleBranch(nn.Module):
    """Branch relu(bn(conv1x1(bn(conv3x3(relu(bn(conv1x1(x)))))))) with a depthwise, strided 3x3 convolution."""

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, out_channels, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, stride=stride, padding=1, groups=out_channels, bias=False)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.conv3 = nn.Conv2d(out_channels, out_channels, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(out_channels)
        self.relu2 = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu1(self.bn1(self.conv1(x)))
        x = self.bn2(self.conv2(x))
        return self.relu2(self.bn3(self.conv3(x)))


class SplitBlock(nn.Module):
    """Block that applies a branch to half of the channels and shuffles the result with the other half."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.branch = ShuffleBranch(channels // 2, channels // 2, 1)
        self.shuffle = ChannelShuffle(2)

    def forward(self, x: Tensor) -> Tensor:
        untouched, half = x.chunk(2, 1)
        return self.shuffle(torch.cat([untouched, self.branch(half)], 1))


class DownBlock(nn.Module):
    """Block of two branches of stride 2, each of which computes half of the output channels, and a shuffle."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.shortcut = nn.Sequential(
            nn.Conv2d(in_channels, in_channels, 3, stride=2, padding=1, groups=in_channels, bias=False),
            nn.BatchNorm2d(in_channels),
            nn.Conv2d(in_channels, out_channels // 2, 1, bias=False),
            nn.BatchNorm2d(out_channels // 2),
            nn.ReLU(),
        )
        self.branch = ShuffleBranch(in_channels, out_channels // 2, 2)
        self.shuffle = ChannelShuffle(2)

    def forward(self, x: Tensor) -> Tensor:
        return self.shuffle(torch.cat([self.shortcut(x), self.branch(x)], 1))


class CifarShuffleNetV2(nn.Module):
    """ShuffleNetV2 with a 1x1 stem of 24 channels, three levels at stride 2, a 1x1 convolution and a linear head.

    The last convolution has 1024 channels; global average pooling precedes the head. Input (B, 3, H, W) of any size
    from 8 px up, designed for 32x32; output (B, num_classes) logits. The levels are ``layer1`` to ``layer3``: a down
    block, then 3, 7, 3 split blocks. Their outputs come after a ReLU and a shuffle, and are (B, C, H/2, W/2),
    (B, 2C, H/4, W/4), (B, 4C, H/8, W/8). Weights use PyTorch's default initialization, as in the benchmark's code.

    Args:
        base_width: Channels C of the first level: 116 for the published x1, 176 for x1.5.
        num_classes: Number of classes.
    """

    def __init__(self, base_width: int, num_classes: int = 10) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, _STEM_WIDTH, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(_STEM_WIDTH)
        self.relu1 = nn.ReLU()
        self.layer1 = _stage(_STEM_WIDTH, base_width, 3)
        self.layer2 = _stage(base_width, 2 * base_width, 7)
        self.layer3 = _stage(2 * base_width, 4 * base_width, 3)
        self.conv2 = nn.Conv2d(4 * base_width, _LAST_CHANNELS, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(_LAST_CHANNELS)
        self.relu2 = nn.ReLU()
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.fc = nn.Linear(_LAST_CHANNELS, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu1(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        x = self.relu2(self.bn2(self.conv2(x)))
        return self.fc(self.flatten(self.avgpool(x)))


def _stage(in_channels: int, out_channels: int, split_blocks: int) -> nn.Sequential:
    first = DownBlock(in_channels, out_channels)
    return nn.Sequential(first, *(SplitBlock(out_channels) for _ in range(split_blocks)))


networks.register("shufflenet_v2")(partial(CifarShuffleNetV2, 116))
networks.register("shufflenet_v2_1_5")(partial(CifarShuffleNetV2, 176))
