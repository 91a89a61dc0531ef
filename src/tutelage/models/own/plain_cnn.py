"""Plain students of ResNet teachers: five blocks of one convolution and max pooling.

Their blocks have the channels and resolutions of a ResNet-34's stem and levels: 64 channels at half of the image's
size, then 64, 128, 256 and 512, each at half of the previous size.
"""

from __future__ import annotations

from functools import partial

from torch import Tensor, nn

from tutelage.models.own.initialization import initialize
from tutelage.models.own.register import networks

#: Channels of the first block, from the largest network to the smallest.
WIDTHS = (64, 32, 16, 8)
_MAP_SIDE = 7  # of the last block, for images of 224 px


class PlainCNN(nn.Module):
    """CNN of five 3x3 convolutions with bias, each max-pooled by 2, and two linear layers, without activations.

    Only the max pooling is nonlinear. This is the student of the published results; ``PlainCNNAdaptive`` is the variant
    with activations.

    Input (B, 3, 224, 224), no other size: the first linear layer reads all 512·7·7 values. Output (B, num_classes)
    logits. The blocks are ``block1`` to ``block5``; their outputs come after pooling and are 64x112x112, 64x56x56,
    128x28x28, 256x14x14, 512x7x7. Weights use PyTorch's default initialization.

    Args:
        num_classes: Number of classes.
    """

    input_size = (224, 224)

    def __init__(self, num_classes: int = 10) -> None:
        super().__init__()
        self.block1 = _block(3, 64)
        self.block2 = _block(64, 64)
        self.block3 = _block(64, 128)
        self.block4 = _block(128, 256)
        self.block5 = _block(256, 512)
        self.flatten = nn.Flatten()
        self.fc1 = nn.Linear(512 * _MAP_SIDE * _MAP_SIDE, 512)
        self.fc2 = nn.Linear(512, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.block3(self.block2(self.block1(x)))
        x = self.block5(self.block4(x))
        return self.fc2(self.fc1(self.flatten(x)))


class PlainCNNAdaptive(nn.Module):
    """Plain CNN with a ReLU after every convolution and between the linear layers, and with global average pooling.

    Input (B, 3, H, W) of any size from 32 px up; output (B, num_classes) logits. The blocks are ``block1`` to
    ``block5``; their outputs come after ReLU and pooling: (B, C, H/2, W/2), (B, C, H/4, W/4), (B, 2C, H/8, W/8),
    (B, 4C, H/16, W/16), (B, 8C, H/32, W/32) for C = ``width``. The hidden linear layer is 8C wide. There is no batch
    normalization, as in the plain CNN; convolutions are initialized from N(0, 2/(k² C_out)), their biases with 0.

    Args:
        width: Channels C of the first block. The plain CNN has 64.
        num_classes: Number of classes.
    """

    usual_size = (224, 224)

    def __init__(self, width: int, num_classes: int = 10) -> None:
        super().__init__()
        last = 8 * width
        self.block1 = _block(3, width, nn.ReLU())
        self.block2 = _block(width, width, nn.ReLU())
        self.block3 = _block(width, 2 * width, nn.ReLU())
        self.block4 = _block(2 * width, 4 * width, nn.ReLU())
        self.block5 = _block(4 * width, last, nn.ReLU())
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.fc1 = nn.Linear(last, last)
        self.relu = nn.ReLU()
        self.fc2 = nn.Linear(last, num_classes)
        initialize(self)

    def forward(self, x: Tensor) -> Tensor:
        x = self.block3(self.block2(self.block1(x)))
        x = self.block5(self.block4(x))
        x = self.relu(self.fc1(self.flatten(self.avgpool(x))))
        return self.fc2(x)


def _block(in_channels: int, out_channels: int, *activation: nn.Module) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(in_channels, out_channels, 3, padding=1), *activation, nn.MaxPool2d(2))


networks.register("plain_cnn")(PlainCNN)
for _width in WIDTHS:
    _suffix = "" if _width == WIDTHS[0] else f"_{_width}"
    networks.register(f"plain_cnn_adaptive{_suffix}")(partial(PlainCNNAdaptive, _width))
