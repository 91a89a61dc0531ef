"""MobileNet (Howard et al. 2017), the ImageNet student of Heo et al. 2019 (OFD)."""

from __future__ import annotations

from torch import Tensor, nn

from tutelage.models.own.register import networks


class SeparableBlock(nn.Module):
    """Separable block relu(bn(conv1x1(relu(bn(conv3x3(x)))))) with a depthwise, strided 3x3 convolution."""

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, in_channels, 3, stride=stride, padding=1, groups=in_channels, bias=False)
        self.bn1 = nn.BatchNorm2d(in_channels)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(in_channels, out_channels, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.relu2 = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu1(self.bn1(self.conv1(x)))
        return self.relu2(self.bn2(self.conv2(x)))


class MobileNetV1(nn.Module):
    """MobileNet with a stem, four levels of separable blocks at stride 2, global average pooling and a linear head.

    The stem is a 3x3 convolution of stride 2 and one separable block: (B, 64, H/2, W/2). The levels ``layer1`` to
    ``layer4`` have 2, 2, 6 and 2 blocks and the resolutions of a ResNet-50. Their outputs come after a ReLU and are
    (B, 128, H/4, W/4), (B, 256, H/8, W/8), (B, 512, H/16, W/16), (B, 1024, H/32, W/32); OFD reads each before that
    ReLU. Input (B, 3, H, W) of any size from 32 px up, designed for 224x224, where the pooling is 7x7 as published;
    output (B, num_classes) logits. Weights use PyTorch's default initialization, as in OFD's code.
    """

    usual_size = (224, 224)

    def __init__(self, num_classes: int = 10) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, 32, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(32),
            nn.ReLU(),
            SeparableBlock(32, 64, 1),
        )
        self.layer1 = _stage(64, 128, 2)
        self.layer2 = _stage(128, 256, 2)
        self.layer3 = _stage(256, 512, 6)
        self.layer4 = _stage(512, 1024, 2)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.fc = nn.Linear(1024, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.layer2(self.layer1(self.stem(x)))
        x = self.layer4(self.layer3(x))
        return self.fc(self.flatten(self.avgpool(x)))


def _stage(in_channels: int, out_channels: int, blocks: int) -> nn.Sequential:
    first = SeparableBlock(in_channels, out_channels, 2)
    return nn.Sequential(first, *(SeparableBlock(out_channels, out_channels, 1) for _ in range(blocks - 1)))


networks.register("mobilenet_v1")(MobileNetV1)
