"""ShuffleNet (Zhang et al. 2018) for 32x32 images, as in the CRD benchmark (Tian et al. 2020)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tutelage.models.own.register import networks
from tutelage.models.own.shuffle import ChannelShuffle

_STEM_WIDTH = 24
_GROUPS = 3


class ShuffleBlock(nn.Module):
    """Bottleneck of 1x1 grouped convolution, shuffle, 3x3 depthwise and 1x1 grouped convolution, each with BN.

    ReLUs follow the first BN, the second BN, and the sum with the input. With stride 2, the average-pooled input
    is concatenated instead of added, and the branch computes the remaining channels. The narrow input from the stem is
    not split into groups.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        branch = out_channels if stride == 1 else out_channels - in_channels
        width = branch // 4
        groups = 1 if in_channels == _STEM_WIDTH else _GROUPS
        self.conv1 = nn.Conv2d(in_channels, width, 1, groups=groups, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu1 = nn.ReLU()
        self.shuffle = ChannelShuffle(groups)
        self.conv2 = nn.Conv2d(width, width, 3, stride=stride, padding=1, groups=width, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.relu2 = nn.ReLU()
        self.conv3 = nn.Conv2d(width, branch, 1, groups=_GROUPS, bias=False)
        self.bn3 = nn.BatchNorm2d(branch)
        self.pool = nn.AvgPool2d(3, stride=2, padding=1) if stride == 2 else None
        self.relu3 = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        out = self.shuffle(self.relu1(self.bn1(self.conv1(x))))
        out = self.relu2(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        return self.relu3(out + x if self.pool is None else torch.cat([out, self.pool(x)], 1))


class CifarShuffleNetV1(nn.Module):
    """ShuffleNet with a 1x1 stem of 24 channels, three levels of 4, 8, 4 blocks at stride 2, and a linear head.

    Global average pooling precedes the head. Input (B, 3, H, W) of any size from 8 px up, designed for 32x32; output
    (B, num_classes) logits. The levels are ``layer1`` to ``layer3``; their outputs come after a ReLU and are
    (B, 240, H/2, W/2), (B, 480, H/4, W/4), (B, 960, H/8, W/8). Three groups. Weights use PyTorch's default
    initialization, as in the benchmark's code.
    """

    def __init__(self, num_classes: int = 10) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, _STEM_WIDTH, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(_STEM_WIDTH)
        self.relu = nn.ReLU()
        self.layer1 = _stage(_STEM_WIDTH, 240, 4)
        self.layer2 = _stage(240, 480, 8)
        self.layer3 = _stage(480, 960, 4)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.fc = nn.Linear(960, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.fc(self.flatten(self.avgpool(x)))


def _stage(in_channels: int, out_channels: int, blocks: int) -> nn.Sequential:
    first = ShuffleBlock(in_channels, out_channels, 2)
    return nn.Sequential(first, *(ShuffleBlock(out_channels, out_channels, 1) for _ in range(blocks - 1)))


networks.register("shufflenet_v1")(CifarShuffleNetV1)
