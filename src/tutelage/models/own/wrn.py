"""Wide residual networks (Zagoruyko & Komodakis 2016)."""

from __future__ import annotations

import math
import re
from functools import partial

from torch import Tensor, nn

from tutelage.errors import TutelageError
from tutelage.models.own.register import networks

#: Sizes used in published comparisons; any other valid ``wrn_D_K`` can be built too.
SIZES = ((16, 1), (16, 2), (16, 4), (22, 4), (28, 2), (28, 4), (28, 10), (40, 1), (40, 2), (40, 4))


class PreactivationBlock(nn.Module):
    """Block conv(relu(bn(conv(relu(bn(x)))))) + x, or + conv1x1(relu(bn(x))) if the number of channels changes."""

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(in_channels)
        self.relu1 = nn.ReLU()
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride=stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.relu2 = nn.ReLU()
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False)
        self.shortcut: nn.Conv2d | None = None
        if in_channels != out_channels:
            self.shortcut = nn.Conv2d(in_channels, out_channels, 1, stride=stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        activated = self.relu1(self.bn1(x))
        out = self.conv2(self.relu2(self.bn2(self.conv1(activated))))
        return out + (x if self.shortcut is None else self.shortcut(activated))


class WideResNet(nn.Module):
    """Wide ResNet with a 3x3 stem of 16 channels and three groups of ``n`` pre-activation blocks.

    BN, ReLU, global average pooling and a linear head follow. Input (B, 3, H, W) of any size from 4 px up, designed for
    32x32; output (B, num_classes) logits. The groups are ``block1`` to ``block3``; their outputs are raw sums, before
    any BN or ReLU: (B, 16K, H, W), (B, 32K, H/2, W/2), (B, 64K, H/4, W/4). No dropout. Convolutions are initialized
    from N(0, 2/(k² C_out)), batch normalization with weight 1, bias 0, the head's bias with 0.

    Args:
        depth: Depth D = 6n + 4.
        width: Factor K on the channels.
        num_classes: Number of classes.
    """

    def __init__(self, depth: int, width: int, num_classes: int = 10) -> None:
        super().__init__()
        blocks = (depth - 4) // 6
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.block1 = _group(16, 16 * width, blocks, 1)
        self.block2 = _group(16 * width, 32 * width, blocks, 2)
        self.block3 = _group(32 * width, 64 * width, blocks, 2)
        self.bn = nn.BatchNorm2d(64 * width)
        self.relu = nn.ReLU()
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.fc = nn.Linear(64 * width, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                fan_out = module.kernel_size[0] * module.kernel_size[1] * module.out_channels
                nn.init.normal_(module.weight, 0.0, math.sqrt(2.0 / fan_out))
        nn.init.zeros_(self.fc.bias)

    def forward(self, x: Tensor) -> Tensor:
        x = self.block3(self.block2(self.block1(self.conv1(x))))
        x = self.relu(self.bn(x))
        return self.fc(self.flatten(self.avgpool(x)))


def _group(in_channels: int, out_channels: int, blocks: int, stride: int) -> nn.Sequential:
    first = PreactivationBlock(in_channels, out_channels, stride)
    return nn.Sequential(first, *(PreactivationBlock(out_channels, out_channels, 1) for _ in range(blocks - 1)))


def parse_wrn(name: str) -> tuple[int, int] | None:
    """Return (depth, width) of a name ``wrn_D_K``, or None for other names.

    Raises:
        TutelageError: If D is not 6n + 4 with n ≥ 1, or K is 0.
    """
    match = re.fullmatch(r"wrn_(\d+)_(\d+)", name)
    if match is None:
        return None
    depth, width = int(match[1]), int(match[2])
    if depth < 10 or (depth - 4) % 6 or width < 1:
        right_depth = max(10, 6 * round((depth - 4) / 6) + 4)
        raise TutelageError(
            f"model '{name}': a wide ResNet wrn_D_K needs a depth D of 6n + 4 (10, 16, 22, 28, …) and a width K of at "
            f"least 1; the nearest is wrn_{right_depth}_{max(1, width)}"
        )
    return depth, width


for _depth, _width in SIZES:
    networks.register(f"wrn_{_depth}_{_width}")(partial(WideResNet, _depth, _width))
