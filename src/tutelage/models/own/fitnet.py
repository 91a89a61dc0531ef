"""FitNets, thin and deep maxout networks, and their wide teacher (Romero et al. 2015, tables 5 to 7)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from torch import Tensor, nn

from tutelage.models.own.register import networks

#: Widths of the convolutions in the three blocks of each FitNet, by its number (table 7 of the paper).
WIDTHS = {
    1: ((16, 16, 16), (32, 32, 32), (48, 48, 64)),
    2: ((16, 32, 32), (48, 64, 80), (96, 96, 128)),
    3: ((32, 48, 64, 64), (80, 80, 80, 80), (128, 128, 128)),
    4: ((32, 32, 32, 48, 48), (80, 80, 80, 80, 80, 80), (128, 128, 128, 128, 128, 128)),
}
_PIECES = 2
_HIDDEN = 500


class Maxout(nn.Module):
    """Maximum over every ``pieces`` neighboring channels, (B, pieces·C, …) → (B, C, …) (Goodfellow et al. 2013)."""

    def __init__(self, pieces: int) -> None:
        super().__init__()
        self.pieces = pieces

    def forward(self, x: Tensor) -> Tensor:
        return x.unflatten(1, (-1, self.pieces)).amax(2)


class MaxoutConvolution(nn.Module):
    """Elementwise maximum of two convolutions with bias."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int, padding: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, _PIECES * out_channels, kernel, padding=padding)
        self.maxout = Maxout(_PIECES)

    def forward(self, x: Tensor) -> Tensor:
        return self.maxout(self.conv(x))


class MaxoutCifar(nn.Module):
    """Teacher of FitNets: three wide maxout convolutions, a fully connected maxout layer, a linear head.

    The CIFAR network of Goodfellow et al. 2013: convolutions of 96 (8x8, padding 4), 192 (8x8, padding 3) and 192
    channels (5x5, padding 3), max pooling of 4x4, 4x4 and 2x2 at stride 2 that keeps incomplete windows, and 500 maxout
    units.

    Input (B, 3, 32, 32), no other size; output (B, num_classes) logits. The blocks are ``block1`` to ``block3``, with
    outputs 96x33x33, 192x15x15, 192x9x9; ``pool1`` to ``pool3`` return 96x16x16, 192x7x7, 192x5x5. The paper's hint
    layer is its layer 2 with pooling, ``pool2``.

    Goodfellow et al. train it with dropout (keeping 0.8 of the input, half of the rest) and bounded kernel norms;
    neither is part of this module. Convolutions and linear layers are initialized from N(0, 1/fan-in), so that the
    larger of two pieces has the second moment of the input, and biases with 0. The authors use U(±0.005).

    Args:
        num_classes: Number of classes.
        hidden_pieces: Pieces of each fully connected unit. The paper's text and code use 5, but its reported parameters
            (9 M, and 250 K, 862 K, 2.5 M for FitNets 1, 2, 4) match 2, without biases.
    """

    def __init__(self, num_classes: int = 10, hidden_pieces: int = 5) -> None:
        super().__init__()
        self.block1 = MaxoutConvolution(3, 96, 8, padding=4)
        self.pool1 = nn.MaxPool2d(4, stride=2, ceil_mode=True)
        self.block2 = MaxoutConvolution(96, 192, 8, padding=3)
        self.pool2 = nn.MaxPool2d(4, stride=2, ceil_mode=True)
        self.block3 = MaxoutConvolution(192, 192, 5, padding=3)
        self.pool3 = nn.MaxPool2d(2, stride=2, ceil_mode=True)
        self.flatten = nn.Flatten()
        self.fc1 = nn.Linear(192 * 5 * 5, hidden_pieces * _HIDDEN)
        self.maxout = Maxout(hidden_pieces)
        self.fc2 = nn.Linear(_HIDDEN, num_classes)
        _initialize(self)

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool1(self.block1(x))
        x = self.pool2(self.block2(x))
        x = self.pool3(self.block3(x))
        return self.fc2(self.maxout(self.fc1(self.flatten(x))))


class FitNet(nn.Module):
    """FitNet student: three blocks of 3x3 maxout convolutions, a fully connected maxout layer, a linear head.

    Input (B, 3, H, W) of any size from 4 px up, designed for 32x32; output (B, num_classes) logits. The blocks are
    ``block1`` to ``block3``, with outputs at the image's size, its half and its quarter; ``pool1`` and ``pool2`` halve,
    ``pool3`` takes the maximum of each whole map. The paper's guided layer is the end of the second block with pooling,
    ``pool2``: layer 6, 6, 8 and 11 of FitNets 1 to 4. With the two linear layers they have 11, 11, 13 and 19 layers.

    The widths are those of the paper's table 7. They match its reported sizes (see ``hidden_pieces``) except for
    FitNet 3, where they result in 1.5 M parameters and 324 M multiplications instead of 1.6 M and 392 M. Weights are
    initialized as in the teacher. The paper's U(±0.005) relies on RMSProp; without it, activations would vanish.

    Args:
        widths: Channels of the convolutions of each block.
        num_classes: Number of classes.
        hidden_pieces: As in ``MaxoutCifar``.
    """

    def __init__(self, widths: Sequence[Sequence[int]], num_classes: int = 10, hidden_pieces: int = 5) -> None:
        super().__init__()
        first, second, third = widths
        self.block1 = _block(3, first)
        self.pool1 = nn.MaxPool2d(2)
        self.block2 = _block(first[-1], second)
        self.pool2 = nn.MaxPool2d(2)
        self.block3 = _block(second[-1], third)
        self.pool3 = nn.AdaptiveMaxPool2d(1)
        self.flatten = nn.Flatten()
        self.fc1 = nn.Linear(third[-1], hidden_pieces * _HIDDEN)
        self.maxout = Maxout(hidden_pieces)
        self.fc2 = nn.Linear(_HIDDEN, num_classes)
        _initialize(self)

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool1(self.block1(x))
        x = self.pool2(self.block2(x))
        x = self.pool3(self.block3(x))
        return self.fc2(self.maxout(self.fc1(self.flatten(x))))


def _block(in_channels: int, widths: Sequence[int]) -> nn.Sequential:
    pairs = zip((in_channels, *widths), widths)
    return nn.Sequential(*(MaxoutConvolution(before, after, 3, padding=1) for before, after in pairs))


def _initialize(model: nn.Module) -> None:
    for parameter in model.parameters():
        if parameter.ndim > 1:
            nn.init.kaiming_normal_(parameter, nonlinearity="linear")
        else:
            nn.init.zeros_(parameter)


networks.register("maxout_cifar")(MaxoutCifar)
for _number, _widths in WIDTHS.items():
    networks.register(f"fitnet_{_number}")(partial(FitNet, _widths))
