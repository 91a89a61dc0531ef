"""Residual networks for 32x32 images (He et al. 2016, section 4.2)."""

from __future__ import annotations

from functools import partial

import torch.nn.functional as F
from torch import Tensor, nn

from tutelage.models.own.register import networks

DEPTHS = (8, 14, 20, 32, 44, 56, 110)


class ZeroPadShortcut(nn.Module):
    """Option A shortcut: subsample by ``stride`` and pad the channels with zeros. No parameters."""

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.extra_channels = out_channels - in_channels

    def forward(self, x: Tensor) -> Tensor:
        x = x[:, :, :: self.stride, :: self.stride]
        return F.pad(x, (0, 0, 0, 0, 0, self.extra_channels))


def _projection_shortcut(in_channels: int, out_channels: int, stride: int) -> nn.Module:
    """Return the option B shortcut: a strided 1x1 convolution and batch normalization."""
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 1, stride=stride, bias=False),
        nn.BatchNorm2d(out_channels),
    )


class BasicBlock(nn.Module):
    """Residual block relu(bn(conv(relu(bn(conv(x))))) + shortcut(x)) with 3x3 convolutions.

    The two ReLUs are separate, not in-place modules, so that each activation and each sum can be tapped by name.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int, shortcut: str) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or in_channels != out_channels:
            make_shortcut = ZeroPadShortcut if shortcut == "A" else _projection_shortcut
            self.shortcut = make_shortcut(in_channels, out_channels, stride)
        self.relu2 = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        out = self.relu1(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        return self.relu2(out + self.shortcut(x))


class CifarResNet(nn.Module):
    """ResNet with a 3x3 stem, three levels of ``n`` basic blocks at strides 1, 2, 2, and a linear head.

    Global average pooling precedes the head.

    Input (B, 3, H, W) of any size from 4 px up, designed for 32x32; output (B, num_classes) logits. The levels are
    ``layer1`` to ``layer3``; their outputs come after a ReLU and are (B, C, H, W), (B, 2C, H/2, W/2),
    (B, 4C, H/4, W/4) for C = ``base_width``. Convolutions are initialized from Kaiming normal (fan out), batch
    normalization with weight 1, bias 0.

    Args:
        depth: Depth 6n + 2: the stem, 2n convolutions per level and the head.
        num_classes: Number of classes.
        stem_width: Channels of the stem.
        base_width: Channels of the first level.
        shortcut: "B" for a 1x1 convolution with batch normalization where the shape changes (most distillation code),
            "A" for subsampling and zero channels (the paper's CIFAR experiments).
    """

    def __init__(
        self, depth: int, num_classes: int = 10, stem_width: int = 16, base_width: int = 16, shortcut: str = "B"
    ) -> None:
        super().__init__()
        blocks = (depth - 2) // 6
        self.conv1 = nn.Conv2d(3, stem_width, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(stem_width)
        self.relu = nn.ReLU()
        self.layer1 = _stage(stem_width, base_width, blocks, 1, shortcut)
        self.layer2 = _stage(base_width, 2 * base_width, blocks, 2, shortcut)
        self.layer3 = _stage(2 * base_width, 4 * base_width, blocks, 2, shortcut)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.fc = nn.Linear(4 * base_width, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.fc(self.flatten(self.avgpool(x)))


def _stage(in_channels: int, out_channels: int, blocks: int, stride: int, shortcut: str) -> nn.Sequential:
    first = BasicBlock(in_channels, out_channels, stride, shortcut)
    rest = (BasicBlock(out_channels, out_channels, 1, shortcut) for _ in range(blocks - 1))
    return nn.Sequential(first, *rest)


for _depth in DEPTHS:
    networks.register(f"resnet{_depth}")(partial(CifarResNet, _depth))
    networks.register(f"resnet{_depth}_a")(partial(CifarResNet, _depth, shortcut="A"))
for _depth in (8, 32):
    # Four times the width and a stem twice as wide (Tian et al. 2020, the CRD benchmark).
    networks.register(f"resnet{_depth}x4")(partial(CifarResNet, _depth, stem_width=32, base_width=64))
