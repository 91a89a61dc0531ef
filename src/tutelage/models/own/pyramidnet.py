"""PyramidNets, residual networks that widen gradually with every block (Han et al. 2017)."""

from __future__ import annotations

from functools import partial

import torch.nn.functional as F
from torch import Tensor, nn

from tutelage.models.own.initialization import initialize
from tutelage.models.own.register import networks

_STEM_WIDTH = 16


class PyramidShortcut(nn.Module):
    """Shortcut that average-pools by the stride and pads the channels with zeros. No parameters."""

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.extra_channels = out_channels - in_channels
        self.pool: nn.Module = nn.Identity() if stride == 1 else nn.AvgPool2d(stride, ceil_mode=True)

    def forward(self, x: Tensor) -> Tensor:
        return F.pad(self.pool(x), (0, 0, 0, 0, 0, self.extra_channels))


class PyramidBasic(nn.Module):
    """Residual block bn(conv(relu(bn(conv(bn(x)))))) + shortcut(x) with 3x3 convolutions.

    No ReLU follows the first batch normalization or the sum.
    """

    expansion = 1

    def __init__(self, in_channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(in_channels)
        self.conv1 = nn.Conv2d(in_channels, width, 3, stride=stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU()
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn3 = nn.BatchNorm2d(width)
        self.shortcut = PyramidShortcut(in_channels, width, stride)

    def forward(self, x: Tensor) -> Tensor:
        out = self.relu(self.bn2(self.conv1(self.bn1(x))))
        return self.bn3(self.conv2(out)) + self.shortcut(x)


class PyramidBottleneck(nn.Module):
    """Variant of ``PyramidBasic`` with convolutions 1x1, 3x3 and 1x1 to four times the width.

    The last two convolutions follow a ReLU.
    """

    expansion = 4

    def __init__(self, in_channels: int, width: int, stride: int) -> None:
        super().__init__()
        out_channels = self.expansion * width
        self.bn1 = nn.BatchNorm2d(in_channels)
        self.conv1 = nn.Conv2d(in_channels, width, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(width, width, 3, stride=stride, padding=1, bias=False)
        self.bn3 = nn.BatchNorm2d(width)
        self.relu2 = nn.ReLU()
        self.conv3 = nn.Conv2d(width, out_channels, 1, bias=False)
        self.bn4 = nn.BatchNorm2d(out_channels)
        self.shortcut = PyramidShortcut(in_channels, out_channels, stride)

    def forward(self, x: Tensor) -> Tensor:
        out = self.relu1(self.bn2(self.conv1(self.bn1(x))))
        out = self.relu2(self.bn3(self.conv2(out)))
        return self.bn4(self.conv3(out)) + self.shortcut(x)


class PyramidNet(nn.Module):
    """PyramidNet with a 3x3 stem of 16 channels and BN, three levels of blocks, then BN, ReLU, pooling, a linear head.

    Block i of N has 16 + i·α/N channels, rounded. Input (B, 3, H, W) of any size from 4 px up, designed for
    32x32; output (B, num_classes) logits. The levels are ``layer1`` to ``layer3``, at strides 1, 2, 2; their outputs
    are raw sums, before any BN or ReLU. Their channels are those of their last block, times 4 in bottlenecks: 44, 72,
    100 for depth 110 and α 84; 384, 704, 1024 for depth 200, α 240 and bottlenecks, the sizes of Heo et al. 2019
    (OFD). Convolutions are initialized from N(0, 2/(k² C_out)), batch normalization with weight 1, bias 0.

    Args:
        depth: Depth 6n + 2, or 9n + 2 with bottlenecks, for n blocks per level.
        alpha: Channels α added from the stem to the last block.
        num_classes: Number of classes.
        block: ``PyramidBasic`` or ``PyramidBottleneck``.
    """

    def __init__(
        self,
        depth: int,
        alpha: int,
        num_classes: int = 10,
        block: type[PyramidBasic] | type[PyramidBottleneck] = PyramidBasic,
    ) -> None:
        super().__init__()
        convolutions = 2 if block is PyramidBasic else 3
        blocks = (depth - 2) // (3 * convolutions)
        widths = [round(_STEM_WIDTH + i * alpha / (3 * blocks)) for i in range(1, 3 * blocks + 1)]
        channels = [_STEM_WIDTH, *(block.expansion * width for width in widths)]

        def stage(first: int, stride: int) -> nn.Sequential:
            numbers = range(first, first + blocks)
            return nn.Sequential(*(block(channels[i], widths[i], stride if i == first else 1) for i in numbers))

        self.conv1 = nn.Conv2d(3, _STEM_WIDTH, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(_STEM_WIDTH)
        self.layer1 = stage(0, 1)
        self.layer2 = stage(blocks, 2)
        self.layer3 = stage(2 * blocks, 2)
        self.bn_final = nn.BatchNorm2d(channels[-1])
        self.relu = nn.ReLU()
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.fc = nn.Linear(channels[-1], num_classes)
        initialize(self)

    def forward(self, x: Tensor) -> Tensor:
        x = self.bn1(self.conv1(x))
        x = self.layer3(self.layer2(self.layer1(x)))
        x = self.relu(self.bn_final(x))
        return self.fc(self.flatten(self.avgpool(x)))


networks.register("pyramidnet110_a84")(partial(PyramidNet, 110, 84))
networks.register("pyramidnet200_a240")(partial(PyramidNet, 200, 240, block=PyramidBottleneck))
