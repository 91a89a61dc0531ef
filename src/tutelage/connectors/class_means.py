"""Mean teacher probabilities by class, for GKL."""

from __future__ import annotations

import torch
import torch.nn as nn
from torch import Tensor


class ClassMeans(nn.Module):
    """The teacher's mean softened probabilities over the samples of each class, from the epoch before.

    They are uniform in the first epoch. Call ``advance`` and then ``add`` with every batch. A class without samples
    keeps its row; in the authors' code, it becomes NaN.

    Args:
        classes: The number of classes K.

    Example:
        >>> import torch
        >>> from tutelage.connectors import ClassMeans
        >>> bank = ClassMeans(classes=2)
        >>> bank.add(torch.tensor([[1.0, 0.0]]), labels=torch.tensor([0]), temperature=1.0)
        >>> bank.advance(torch.tensor(1))
        >>> bank.means
        tensor([[0.7311, 0.2689],
                [0.5000, 0.5000]])
    """

    means: Tensor
    sums: Tensor
    epoch: Tensor

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.register_buffer("means", torch.full((classes, classes), 1 / classes))
        self.register_buffer("sums", torch.zeros(classes, classes))
        self.register_buffer("epoch", torch.tensor(0))

    @torch.no_grad()
    def add(self, teacher_logits: Tensor, labels: Tensor, temperature: float) -> None:
        """Add the probabilities of a batch to the running sums; samples labeled -1 are left out.

        Args:
            teacher_logits: The teacher's logits (B, K).
            labels: Class indices (B,).
            temperature: The temperature of the probabilities.
        """
        probabilities = (teacher_logits.to(self.sums.dtype) / temperature).softmax(1)
        self.sums.index_add_(0, labels.clamp_min(0), probabilities * (labels >= 0)[:, None])

    @torch.no_grad()
    def advance(self, epoch: Tensor) -> None:
        """In a new epoch, replace the means by those of the sums, and start the sums again.

        Args:
            epoch: The epoch, from 0, a scalar on any device. The decision is made on the device of the sums, so no step
                waits for it.
        """
        epoch = epoch.to(self.epoch.device)
        is_new = epoch != self.epoch
        counts = self.sums.sum(1, keepdim=True)
        self.means.copy_(torch.where(is_new & (counts > 0), self.sums / counts, self.means))
        self.sums.masked_fill_(is_new, 0)
        self.epoch.copy_(epoch)
