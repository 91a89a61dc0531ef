"""Data and training for the teachers of the examples; replace them with your own.

tutelage includes the digits, and the networks are small: everything runs offline, in seconds.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from tutelage.data import load_digits


def loaders(side: int = 8, batch_size: int = 32) -> tuple[DataLoader, DataLoader]:
    """Return loaders of training and test batches: images (B, 3, side, side) in [0, 1] and labels (B,)."""
    images, labels = map(torch.from_numpy, load_digits())
    images = F.interpolate(images.float()[:, None].repeat(1, 3, 1, 1) / 16, (side, side))
    train = DataLoader(TensorDataset(images[:480], labels[:480]), batch_size, shuffle=True, drop_last=True)
    return train, DataLoader(TensorDataset(images[1400:], labels[1400:]), batch_size)


def train(network: nn.Module, loader: DataLoader, epochs: int = 2, lr: float = 0.01) -> None:
    """Train a network on labels."""
    optimizer = torch.optim.AdamW(network.parameters())
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, lr, total_steps=epochs * len(loader))
    network.train()
    for _ in range(epochs):
        for images, labels in loader:
            optimizer.zero_grad()
            F.cross_entropy(network(images), labels).backward()
            optimizer.step()
            schedule.step()


@torch.no_grad()
def accuracy(network: nn.Module, loader: DataLoader) -> float:
    """Return the accuracy in percent."""
    network.eval()
    hits = [(network(images).argmax(1) == labels).float() for images, labels in loader]
    return 100 * torch.cat(hits).mean().item()
