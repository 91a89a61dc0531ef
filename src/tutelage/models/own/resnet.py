"""Levels of the ImageNet ResNets (He et al. 2016), and ResNets for 32x32 images built from them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from torch import Tensor, nn

from tutelage.models.own.cifar_resnet import BasicBlock
from tutelage.models.own.initialization import initialize
from tutelage.models.own.register import networks

STEM_WIDTH = 64

#: Function of input channels, output channels and stride that returns a block.
MakeBlock = Callable[[int, int, int], nn.Module]
basic_block: MakeBlock = partial(BasicBlock, shortcut="B")


class Bottleneck(nn.Module):
    """Residual block relu(bn(conv1x1(relu(bn(conv3x3(relu(bn(conv1x1(x)))))))) + shortcut(x)).

    The 3x3 convolution is strided. The first two convolutions have a quarter of the channels. The shortcut is a strided
    1x1 convolution with batch normalization where the shape changes.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        width = out_channels // 4
        self.conv1 = nn.Conv2d(in_channels, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(width, width, 3, stride=stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.relu2 = nn.ReLU()
        self.conv3 = nn.Conv2d(width, out_channels, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(out_channels)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or in_channels != out_channels:
            self.shortcut = nn.Sequential(
                nn.Conv2d(in_channels, out_channels, 1, stride=stride, bias=False),
                nn.BatchNorm2d(out_channels),
            )
        self.relu3 = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        out = self.relu1(self.bn1(self.conv1(x)))
        out = self.relu2(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        return self.relu3(out + self.shortcut(x))


def residual_stages(make_block: MakeBlock, width: int, blocks: Sequence[int]) -> list[nn.Sequential]:
    """Return one level per entry of ``blocks``, at strides 1, 2, 2, …, each twice as wide as the previous one.

    The first level maps ``STEM_WIDTH`` channels to ``width``.
    """
    stages = []
    in_channels = STEM_WIDTH
    for level, count in enumerate(blocks):
        out_channels = width << level
        first = make_block(in_channels, out_channels, 1 if level == 0 else 2)
        rest = (make_block(out_channels, out_channels, 1) for _ in range(count - 1))
        stages.append(nn.Sequential(first, *rest))
        in_channels = out_channels
    return stages


class CifarStemResNet(nn.Module):
    """ImageNet ResNet with a 3x3 stem of stride 1 and no pooling, as in the CRD benchmark (Tian et al. 2020).

    Input (B, 3, H, W) of any size from 8 px up, designed for 32x32; output (B, num_classes) logits. The levels are
    ``layer1`` to ``layer4``; their outputs come after a ReLU and are (B, C, H, W), (B, 2C, H/2, W/2),
    (B, 4C, H/4, W/4), (B, 8C, H/8, W/8) for C = ``width``. Convolutions are initialized from Kaiming normal (fan out),
    batch normalization with weight 1, bias 0.

    Args:
        make_block: ``basic_block`` or ``Bottleneck``.
        width: Channels after the first level: 64 with basic blocks, 256 with bottlenecks.
        blocks: Number of blocks in each of the four levels.
        num_classes: Number of classes.
    """

    def __init__(self, make_block: MakeBlock, width: int, blocks: Sequence[int], num_classes: int = 10) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, STEM_WIDTH, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(STEM_WIDTH)
        self.relu = nn.ReLU()
        self.layer1, self.layer2, self.layer3, self.layer4 = residual_stages(make_block, width, blocks)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.fc = nn.Linear(8 * width, num_classes)
        initialize(self)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(self.flatten(self.avgpool(x)))


networks.register("cifar_resnet18")(partial(CifarStemResNet, basic_block, 64, (2, 2, 2, 2)))
networks.register("cifar_resnet50")(partial(CifarStemResNet, Bottleneck, 256, (3, 4, 6, 3)))
