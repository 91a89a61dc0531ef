"""Trained parts and state of CRD (contrastive representation distillation): embeddings, memory banks, contrasts.

Tian, Krishnan and Isola, "Contrastive Representation Distillation", ICLR 2020, https://arxiv.org/abs/1910.10699.
"""

from __future__ import annotations

import math

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

from tutelage.data import bits
from tutelage.errors import TutelageError
from tutelage.losses import crd_log_z, crd_loss, crd_similarities, full_precision


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
        return _unit(super().forward(embeddings))


@full_precision
def _unit(embeddings: Tensor) -> Tensor:
    return F.normalize(embeddings, dim=1)


class CRDMemory(nn.Module):
    """Compute the CRD loss against banks of both networks' embeddings of all training samples.

    The banks start uniform in ±√(3 / dim). In train mode, the rows of a batch become
    momentum · old + (1 − momentum) · new, scaled to unit norm, once its loss is computed. The constants Z are those of
    the first batch.

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

    student_bank: Tensor
    teacher_bank: Tensor
    log_z: Tensor

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

    def forward(self, student: Tensor, teacher: Tensor, index: Tensor, contrast: Tensor) -> Tensor:
        """Return the loss of a batch.

        Args:
            student: The student's embeddings (B, dim) of unit norm.
            teacher: The teacher's embeddings (B, dim) of unit norm.
            index: Indices (B,) of the samples in the training data.
            contrast: Indices (B, K + 1) of one positive and K negatives for each sample, see ``CRDContrast``.

        Returns:
            The loss, a scalar. Its gradient can be taken once.
        """
        ours, theirs = (embeddings.detach().requires_grad_() for embeddings in (student, teacher))
        with torch.enable_grad():
            loss, log_z = self._loss(ours, theirs, contrast)
            slopes = torch.autograd.grad(loss, (ours, theirs))
        if self.training:
            self._update(ours.detach(), theirs.detach(), index, log_z)
        # The gradient needs the rows as they were, so it is computed before they move: its terms here are 0.
        moved = ((student - ours.detach()) * slopes[0]).sum() + ((teacher - theirs.detach()) * slopes[1]).sum()
        return loss.detach() + moved

    def _loss(self, student: Tensor, teacher: Tensor, contrast: Tensor) -> tuple[Tensor, Tensor]:
        """Return the loss, and log Z for both networks."""
        similarities = (
            crd_similarities(student, self.teacher_bank, contrast),
            crd_similarities(teacher, self.student_bank, contrast),
        )
        n_data = len(self.student_bank)
        estimates = [crd_log_z(values, n_data=n_data, temperature=self.temperature) for values in similarities]
        log_z = torch.where(self.log_z.isnan(), torch.stack(estimates), self.log_z)
        return crd_loss(*similarities, log_z, n_data=n_data, temperature=self.temperature), log_z

    @torch.no_grad()
    def _update(self, student: Tensor, teacher: Tensor, index: Tensor, log_z: Tensor) -> None:
        self.log_z.copy_(log_z)
        for bank, new in ((self.student_bank, student), (self.teacher_bank, teacher)):
            moved = self.momentum * bank[index] + (1 - self.momentum) * new.to(bank)
            bank[index] = F.normalize(moved, dim=1)


class CRDContrast(nn.Module):
    """Draw the positives and negatives of CRD from the labels of the training data.

    Negatives are drawn independently and uniformly from the samples of other classes, as noise-contrastive estimation
    assumes; the authors' code draws them without replacement where there are enough. Every sample without a label
    counts as a separate class.

    What is drawn for a sample is a hash of a seed, which is random and part of the state, the number of calls so far,
    which only train mode counts, and the sample. It does not depend on the rest of the batch, so several processes draw
    what one does.

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

    seed: Tensor
    calls: Tensor
    order: Tensor
    start: Tensor
    size: Tensor

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
        self.register_buffer("seed", torch.randint(2**62, ()))
        self.register_buffer("calls", torch.tensor(0))
        self.register_buffer("order", order, persistent=False)
        self.register_buffer("start", starts[place], persistent=False)
        self.register_buffer("size", sizes[place], persistent=False)

    def forward(self, index: Tensor) -> Tensor:
        """Return the contrast (B, K + 1) of the samples with the indices (B,): a positive, then K negatives."""
        draws = bits(self.seed, self.calls, index[:, None], torch.arange(self.negatives + 1, device=index.device))
        if self.training:
            self.calls += 1
        start, size = self.start[index, None], self.size[index, None]
        others = _below(len(self.order) - size, draws[:, 1:])
        negatives = self.order[others + size * (others >= start)]
        positives = self.order[start + _below(size, draws[:, :1])] if self.relaxed else index[:, None]
        return torch.cat([positives, negatives], dim=1)


def _below(bound: Tensor, draws: Tensor) -> Tensor:
    """Return integers in [0, bound), from the upper 31 of 64 random bits, so that the product fits into 64."""
    return ((draws >> 33) & (2**31 - 1)) * bound >> 31
