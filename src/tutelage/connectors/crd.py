"""Trained parts and state of CRD (contrastive representation distillation): embeddings, memory banks, contrasts.

Tian, Krishnan and Isola, "Contrastive Representation Distillation", ICLR 2020, https://arxiv.org/abs/1910.10699.
"""

from __future__ import annotations

import math

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

from tutelage.errors import TutelageError
from tutelage.losses import crd_log_z, crd_loss, crd_similarities


class CRDEmbedding(nn.Linear):
    """Map the embeddings of a network to unit vectors of a width that both networks share.

    CRD trains one for the student and one for the teacher.

    Args:
        width: Width D of the network's embeddings.
        dim: Width of the unit vectors.

    Example:
        >>> import torch
        >>> from tutelage.connectors import CRDEmbedding
        >>> CRDEmbedding(64)(torch.randn(2, 64)).shape
        torch.Size([2, 128])
    """

    def __init__(self, width: int, dim: int = 128) -> None:
        super().__init__(width, dim)

    def forward(self, embeddings: Tensor) -> Tensor:
        """Return the unit vectors (B, dim) of embeddings (B, D)."""
        return F.normalize(super().forward(embeddings), dim=1)


class CRDMemory(nn.Module):
    """Compute the CRD loss against banks of both networks' embeddings of all training samples.

    The banks start uniform in ±√(3 / dim). Once a batch was used, its rows become
    momentum · old + (1 − momentum) · new, scaled to unit norm. This happens at the next call, or when the state is
    saved, because the backward pass still needs the rows as they were. The constants Z are those of the first batch.

    Args:
        n_data: Number N of training samples.
        dim: Width of the embeddings.
        temperature: The temperature T of ``crd_loss``.
        momentum: Share of the old rows in an update.

    Raises:
        TutelageError: If ``momentum`` is not in [0, 1).

    Example:
        >>> import torch
        >>> from tutelage.connectors import CRDMemory
        >>> memory = CRDMemory(n_data=100, dim=16)
        >>> student, teacher = torch.nn.functional.normalize(torch.randn(2, 4, 16), dim=2)
        >>> memory(student, teacher, index=torch.arange(4), contrast=torch.randint(100, (4, 33))).shape
        torch.Size([])
    """

    def __init__(self, n_data: int, dim: int = 128, *, temperature: float = 0.07, momentum: float = 0.5) -> None:
        super().__init__()
        if not 0 <= momentum < 1:
            raise TutelageError(f"crd: momentum = {momentum} must be in [0, 1); the usual value is 0.5")
        self.temperature = temperature
        self.momentum = momentum
        bound = math.sqrt(3 / dim)
        self.register_buffer("student_bank", torch.empty(n_data, dim).uniform_(-bound, bound))
        self.register_buffer("teacher_bank", torch.empty(n_data, dim).uniform_(-bound, bound))
        self.register_buffer("log_z", torch.full((2,), math.nan))
        self._used: tuple[Tensor, Tensor, Tensor] | None = None
        self.register_state_dict_pre_hook(_update_before_saving)
        self.register_load_state_dict_pre_hook(_forget_before_loading)

    student_bank: Tensor
    teacher_bank: Tensor
    log_z: Tensor

    def forward(self, student: Tensor, teacher: Tensor, index: Tensor, contrast: Tensor) -> Tensor:
        """Return the loss of a batch.

        Args:
            student: The student's embeddings (B, dim) of unit norm.
            teacher: The teacher's embeddings (B, dim) of unit norm.
            index: Indices (B,) of the samples in the training data.
            contrast: Indices (B, K + 1) of one positive and K negatives for each sample, see ``CRDContrast``.

        Returns:
            The loss, a scalar.
        """
        self._update()
        similarities = (
            crd_similarities(student, self.teacher_bank, contrast),
            crd_similarities(teacher, self.student_bank, contrast),
        )
        n_data = len(self.student_bank)
        estimates = [crd_log_z(values, n_data=n_data, temperature=self.temperature) for values in similarities]
        self.log_z.copy_(torch.where(self.log_z.isnan(), torch.stack(estimates), self.log_z))
        self._used = student.detach(), teacher.detach(), index
        return crd_loss(*similarities, self.log_z, n_data=n_data, temperature=self.temperature)

    @torch.no_grad()
    def _update(self) -> None:
        """Move the rows of the batch that was used last."""
        if self._used is None:
            return
        student, teacher, index = self._used
        self._used = None
        for bank, new in ((self.student_bank, student), (self.teacher_bank, teacher)):
            moved = self.momentum * bank[index] + (1 - self.momentum) * new.to(bank)
            bank[index] = F.normalize(moved, dim=1)


def _update_before_saving(memory: CRDMemory, *_: object) -> None:
    memory._update()


def _forget_before_loading(memory: CRDMemory, *_: object) -> None:
    memory._used = None


class CRDContrast(nn.Module):
    """Draw the positives and negatives of CRD from the labels of the training data.

    Negatives are drawn independently and uniformly from the samples of other classes, as noise-contrastive estimation
    assumes; the authors' code draws them without replacement. A sample without a label counts as a class of its own.

    Args:
        labels: Labels (N,) of all training samples, −1 where unknown.
        negatives: Number K of negatives per sample.
        relaxed: Whether the positive is any sample of the same class instead of the sample itself.

    Raises:
        TutelageError: If all samples have the same label.

    Example:
        >>> import torch
        >>> from tutelage.connectors import CRDContrast
        >>> draw = CRDContrast(torch.tensor([0, 0, 1]), negatives=2)
        >>> draw(torch.tensor([0, 1]))
        tensor([[0, 2, 2],
                [1, 2, 2]])
    """

    def __init__(self, labels: Tensor, negatives: int = 16384, *, relaxed: bool = False) -> None:
        super().__init__()
        alone = labels.max() + 1 + torch.arange(len(labels), device=labels.device)
        classes = torch.where(labels < 0, alone, labels)
        order = classes.argsort(stable=True)
        _, place, sizes = classes.unique(return_inverse=True, return_counts=True)
        if len(sizes) < 2:
            raise TutelageError(
                f"crd: all {len(labels)} training samples have the label {int(labels[0])}, so there are no negatives; "
                "use data with at least two classes"
            )
        self.negatives = negatives
        self.relaxed = relaxed
        starts = sizes.cumsum(0) - sizes
        self.register_buffer("order", order, persistent=False)
        self.register_buffer("start", starts[place], persistent=False)
        self.register_buffer("size", sizes[place], persistent=False)

    order: Tensor
    start: Tensor
    size: Tensor

    def forward(self, index: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Return the contrast (B, K + 1) of the samples with the indices (B,): a positive, then K negatives.

        Args:
            index: Indices (B,) of the samples in the training data.
            generator: Source of randomness on the device of the labels. None uses PyTorch's default.

        Returns:
            Indices (B, K + 1) of training samples.
        """
        start, size = self.start[index, None], self.size[index, None]
        others = self._draw(len(self.order) - size, self.negatives, generator)
        negatives = self.order[others + size * (others >= start)]
        positives = self.order[start + self._draw(size, 1, generator)] if self.relaxed else index[:, None]
        return torch.cat([positives, negatives], dim=1)

    @staticmethod
    def _draw(below: Tensor, count: int, generator: torch.Generator | None) -> Tensor:
        """Return ``count`` integers per row, uniform in [0, below)."""
        shape = (len(below), count)
        shares = torch.rand(shape, generator=generator, device=below.device, dtype=torch.float64)
        return (shares * below).long()
