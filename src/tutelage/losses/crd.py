"""Contrastive representation distillation (CRD) loss: tell a sample's own embedding from those of other samples.

Tian, Krishnan and Isola, "Contrastive Representation Distillation", ICLR 2020, https://arxiv.org/abs/1910.10699.

The loss only needs the similarities between embeddings and rows of the memory banks. They are taken from the products
of a block of samples with the whole bank, N numbers per sample. The authors' code gathers the rows of the bank first,
(K + 1)·D numbers per sample, 40 times as many for CIFAR-100 with the defaults.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from tutelage.errors import TutelageError
from tutelage.losses.precision import full_precision
from tutelage.losses.shapes import require_same_batch, require_same_shape

# The authors add it to the denominators.
EPS = 1e-7

# Products of samples and rows of the bank computed at a time.
BLOCK = 2**24


@full_precision
def crd_similarities(embeddings: Tensor, bank: Tensor, contrast: Tensor) -> Tensor:
    """Return the inner products of embeddings with chosen rows of a memory bank.

    The bank gets no gradient. It must not change before the backward pass.

    Args:
        embeddings: Embeddings (B, D) of unit norm.
        bank: The other network's embeddings (N, D) of all N samples.
        contrast: Rows of the bank (B, K + 1), int64; the positive first, then K negatives.

    Returns:
        The similarities (B, K + 1).

    Raises:
        TutelageError: If ``contrast`` does not have one row per sample.

    Example:
        >>> import torch
        >>> from tutelage.losses import crd_similarities
        >>> bank = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]])
        >>> crd_similarities(torch.tensor([[0.0, 1.0]]), bank, torch.tensor([[2, 0, 0]]))
        tensor([[0.8000, 0.0000, 0.0000]])
    """
    require_same_batch(embeddings, contrast, "crd contrast")
    rows = bank.detach().mT
    step = max(1, BLOCK // rows.shape[1])
    blocks = zip(embeddings.split(step), contrast.split(step), strict=True)
    return torch.cat([(block @ rows).gather(1, chosen) for block, chosen in blocks])


@full_precision
def crd_log_z(similarities: Tensor, *, n_data: int, temperature: float = 0.07) -> Tensor:
    """Return the logarithm of the constant that normalizes the similarities, detached.

    log Z with Z = N · mean exp(similarity / T) over a batch. The authors estimate it from the first batch and keep it.

    Args:
        similarities: Output of ``crd_similarities`` (B, K + 1).
        n_data: Number N of samples in the bank.
        temperature: The temperature T, positive.

    Returns:
        The logarithm, a scalar.

    Example:
        >>> import torch
        >>> from tutelage.losses import crd_log_z
        >>> crd_log_z(torch.zeros(2, 5), n_data=100)
        tensor(4.6052)
    """
    scaled = similarities.detach() / temperature
    return scaled.logsumexp((0, 1)) - math.log(scaled.numel()) + math.log(n_data)


@full_precision
def crd_loss(student: Tensor, teacher: Tensor, log_z: Tensor, *, n_data: int, temperature: float = 0.07) -> Tensor:
    """Return the noise-contrastive loss of both networks' similarities.

    −log P⁺ / (P⁺ + m) − Σ_k log m / (P⁻_k + m), averaged over the batch and summed over both networks, with
    P = exp(similarity / T) / Z, K negatives, m = K / N and, as in the authors' code, 10⁻⁷ added to both denominators.
    The teacher's similarities are not detached, because its embedding is trained, too. RepDistiller uses weight 0.8 and
    K = 16384.

    Args:
        student: Similarities (B, K + 1) of the student's embeddings with the teacher's bank, the positive first.
        teacher: Similarities (B, K + 1) of the teacher's embeddings with the student's bank.
        log_z: log Z (2,) of the student's and of the teacher's similarities, see ``crd_log_z``.
        n_data: Number N of samples in each bank.
        temperature: The temperature T, positive.

    Returns:
        The loss, a scalar.

    Raises:
        TutelageError: If the shapes differ, there are no negatives or ``temperature`` is not positive.

    Example:
        >>> import torch
        >>> from tutelage.losses import crd_loss
        >>> similarities = torch.tensor([[0.9, 0.1, -0.2]])
        >>> round(crd_loss(similarities, similarities, torch.zeros(2), n_data=10, temperature=1.0).item(), 4)
        7.1639
    """
    require_same_shape(student, teacher, "crd", "pass the same contrast to both networks")
    if student.shape[1] < 2:
        raise TutelageError(f"crd: similarities of shape {tuple(student.shape)} hold no negatives; draw at least one")
    if temperature <= 0:
        raise TutelageError(f"crd: temperature {temperature} must be positive; the usual value is 0.07")
    noise = (student.shape[1] - 1) / n_data
    return sum((_contrast(x / temperature - z, noise) for x, z in zip((student, teacher), log_z)), log_z.new_zeros(()))


def _contrast(log_p: Tensor, noise: float) -> Tensor:
    """Return the loss of one network: softplus is −log of a share in a sum of exponentials."""
    log_sum = math.log(noise + EPS)
    positive, negatives = F.softplus(log_sum - log_p[:, 0]), F.softplus(log_p[:, 1:] - log_sum)
    return (positive + negatives.sum(1)).mean() + negatives.shape[1] * (log_sum - math.log(noise))
