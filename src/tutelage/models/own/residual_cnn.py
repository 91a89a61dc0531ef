"""Residual students of ResNet teachers, built from fastai's layers."""

from __future__ import annotations

from functools import partial

from torch import Tensor, nn

from tutelage.models.own.concat_pool import ConcatPool
from tutelage.models.own.register import networks

#: Channels of the stem, from the largest network to the smallest.
WIDTHS = (64, 32, 16, 8)


class ConvLayer(nn.Module):
    """Layer bn(relu(conv(x))), in fastai's order, without bias in the convolution.

    As in fastai, the convolution is initialized from Kaiming normal (fan in), batch normalization with weight 1 and
    bias 0.001.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel: int = 3, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, kernel, stride=stride, padding=kernel // 2, bias=False)
        self.relu = nn.ReLU()
        self.bn = nn.BatchNorm2d(out_channels)
        nn.init.kaiming_normal_(self.conv.weight)
        nn.init.constant_(self.bn.bias, 1e-3)

    def forward(self, x: Tensor) -> Tensor:
        return self.bn(self.relu(self.conv(x)))


class ResidualLayer(nn.Module):
    """Residual layer x + bn(relu(conv3x3(x)))."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = ConvLayer(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv1(x)


class ResidualCNN(nn.Module):
    """CNN with a 7x7 stem of stride 2, max pooling, four levels, ``ConcatPool`` and two linear layers.

    A level is one convolution, which changes the shape, and one residual layer. There is no activation between the two
    linear layers.

    Input (B, 3, H, W) of any size from 32 px up, designed for 224x224; output (B, num_classes) logits. The five maps
    for distillation are ``stem``, after ReLU and BN: (B, C, H/2, W/2), and the levels ``layer1`` to ``layer4``, raw
    sums: (B, C, H/4, W/4), (B, 2C, H/8, W/8), (B, 4C, H/16, W/16), (B, 8C, H/32, W/32) for C = ``width``. The hidden
    linear layer is 4C wide. With C = 64, the maps have the shapes of a ResNet-34.

    Args:
        width: Channels C of the stem. The published network has 64.
        num_classes: Number of classes.
    """

    usual_size = (224, 224)

    def __init__(self, width: int, num_classes: int = 10) -> None:
        super().__init__()
        self.stem = ConvLayer(3, width, kernel=7, stride=2)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.layer1 = _stage(width, width, 1)
        self.layer2 = _stage(width, 2 * width, 2)
        self.layer3 = _stage(2 * width, 4 * width, 2)
        self.layer4 = _stage(4 * width, 8 * width, 2)
        self.pool = ConcatPool()
        self.flatten = nn.Flatten()
        self.fc1 = nn.Linear(2 * 8 * width, 4 * width)
        self.fc2 = nn.Linear(4 * width, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.maxpool(self.stem(x))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc2(self.fc1(self.flatten(self.pool(x))))


def _stage(in_channels: int, out_channels: int, stride: int) -> nn.Sequential:
    return nn.Sequential(ConvLayer(in_channels, out_channels, stride=stride), ResidualLayer(out_channels))


for _width in WIDTHS:
    _suffix = "" if _width == WIDTHS[0] else f"_{_width}"
    networks.register(f"residual_cnn{_suffix}")(partial(ResidualCNN, _width))
