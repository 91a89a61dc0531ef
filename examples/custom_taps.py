"""Distill between two networks of your own, and choose the taps by name: modules, or functions in a forward pass.

python examples/custom_taps.py
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import digits
import tutelage
from tutelage.methods.at import AT
from tutelage.taps import tap_points


class Tower(nn.Module):
    """Teacher with two levels, each a module that can be tapped by name."""

    def __init__(self, width: int = 48) -> None:
        super().__init__()
        self.early = nn.Sequential(nn.Conv2d(3, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU())
        self.late = nn.Sequential(nn.Conv2d(width, width, 3, 2, 1), nn.BatchNorm2d(width), nn.ReLU())
        self.head = nn.Linear(width, 10)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.late(self.early(images)).mean((2, 3)))


class Branches(nn.Module):
    """Student with functions instead of modules, and a sum, in its forward pass."""

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, width, 3, padding=1), nn.BatchNorm2d(width))
        self.left = nn.Sequential(nn.Conv2d(width, width, 3, 2, 1), nn.BatchNorm2d(width))
        self.right = nn.Sequential(nn.Conv2d(width, width, 1, 2), nn.BatchNorm2d(width))
        self.head = nn.Linear(width, 10)

    def forward(self, images: Tensor) -> Tensor:
        features = F.relu(self.stem(images))
        return self.head(F.relu(self.left(features) + self.right(features)).mean((2, 3)))


torch.manual_seed(0)
train, test = digits.loaders()
teacher, student = Tower(), Branches()
digits.train(teacher, train, epochs=4)
print("places to tap in the student:", ", ".join(point.name for point in tap_points(student, (8, 8))))

method = AT(taps={"early": "relu", "late": "add"}, weight=100)  # teacher tap: student tap
distiller = tutelage.Distiller(student, teacher, method, input_size=8)
optimizer = torch.optim.AdamW(distiller.parameters(), lr=0.02)
for epoch in range(1, 5):
    distiller.train()
    for images, labels in train:
        out = distiller(images, labels)
        optimizer.zero_grad()
        out.loss.backward()
        optimizer.step()
    print(f"epoch {epoch}: loss {out.loss.item():.4f} with {', '.join(out.terms)}")

print(f"teacher {digits.accuracy(teacher, test):.1f} %, student {digits.accuracy(student, test):.1f} %")
