"""Small networks with the habits that break the reading of activations."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class Careless(nn.Module):
    """Functional in-place calls, a shared module, dropout by the functional flag, an optional argument."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.block = nn.Sequential(nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8))
        self.second = nn.Conv2d(8, 8, 3, padding=1)
        self.act = nn.ReLU(inplace=True)
        self.head = nn.Linear(8, 4)
        self.unused = nn.Linear(8, 4)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        x = self.stem(x)
        functional.relu(x, inplace=True)  # the result is dropped: what follows reads x
        y = self.second(self.act(self.block(x)))
        y += x
        y = self.act(y) * 2
        y.sub_(0.5)
        y = functional.dropout(y, 0.3, training=self.training)
        if mask is not None:
            y = y * mask
        return self.head(y.mean((2, 3)))


class SkipsWhatReluChanged(nn.Module):
    """The in-place ReLU changes the shortcut as well: a copy without in-place must compute the same."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 1)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        y = self.relu(x)
        return (y + x).flatten(1)


class DataDependent(nn.Module):
    """Cannot be traced: it branches on values. Its second part may or may not be needed."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.BatchNorm2d(8))
        self.relu = nn.ReLU(inplace=True)
        self.second = nn.Sequential(nn.Conv2d(8, 16, 3, stride=2, padding=1), nn.BatchNorm2d(16))
        self.scale = nn.Parameter(torch.ones(1))
        self.dropout = nn.Dropout(0.3)
        self.head = nn.Linear(16, 4)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        x = self.relu(self.first(x))
        if x.mean() > 1e6:
            x = x * 0
        x = functional.relu(self.second(x), inplace=True)
        x = self.relu(x * self.scale - 0.1)
        return {"logits": self.head(self.dropout(x).mean((2, 3)))}


class Buffered(nn.Module):
    """Counts its batches and uses a constant table: tracing must neither count nor bake the values in."""

    table: Tensor
    batches: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 1)
        self.register_buffer("table", torch.ones(1, 4, 1, 1))
        self.register_buffer("batches", torch.zeros(()))
        self.early = nn.Parameter(torch.ones(1, 4, 1, 1))
        self.late = nn.Parameter(torch.ones(1, 4, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            self.batches.add_(1)
        x = self.conv(x) * (self.table * 2) * self.early
        return (x.relu() * self.late).mean((2, 3))
