"""Probabilistic knowledge transfer (PKT) loss: match the probability that two samples are neighbors.

Passalis and Tefas, "Learning Deep Representations with Probabilistic Knowledge Transfer", ECCV 2018,
https://arxiv.org/abs/1803.10837.
"""

from __future__ import annotations

import torch
from torch import Tensor

from tutelage.losses.precision import full_precision
from tutelage.losses.shapes import SHORTEST, require_embeddings, require_same_batch

# The authors add it to norms and probabilities.
EPS = 1e-7


def pkt_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """Return the divergence between the neighbor probabilities of teacher and student within a batch.

    mean_ij p^t_ij log(p^t_ij / p^s_ij) with p_ij = (cos(e_i, e_j) + 1) / Σ_k (cos(e_i, e_k) + 1). Widths may differ. As
    in the authors' code, 10⁻⁷ is added to norms and to both probabilities, and the mean is over B² pairs. The usual
    weight is 3·10⁴ (RepDistiller).

    Args:
        student: The student's embeddings (B, D_s).
        teacher: The teacher's embeddings (B, D_t).

    Returns:
        The loss, a scalar.

    Raises:
        TutelageError: If the batch sizes differ or an input is not two-dimensional.

    Example:
        >>> import torch
        >>> from tutelage.losses import pkt_loss
        >>> embeddings = torch.randn(8, 16)
        >>> pkt_loss(embeddings, embeddings)
        tensor(0.)
    """
    return pkt_match(student, pkt_target(teacher))


@full_precision
def pkt_target(teacher: Tensor) -> Tensor:
    """Return the teacher's embeddings, detached.

    Probabilities depend on the batch, so the embeddings are what can be cached.

    Args:
        teacher: The teacher's embeddings (B, D).

    Returns:
        The target (B, D).

    Example:
        >>> import torch
        >>> from tutelage.losses import pkt_target
        >>> pkt_target(torch.randn(2, 16, requires_grad=True)).requires_grad
        False
    """
    return teacher.detach()


@full_precision
def pkt_match(student: Tensor, target: Tensor) -> Tensor:
    """Return ``pkt_loss`` from the student's embeddings and a cached target.

    Args:
        student: The student's embeddings (B, D_s).
        target: Output of ``pkt_target`` (B, D_t).

    Returns:
        The loss, a scalar.

    Raises:
        TutelageError: If the batch sizes differ or an input is not two-dimensional.

    Example:
        >>> import torch
        >>> from tutelage.losses import pkt_match, pkt_target
        >>> embeddings = torch.randn(8, 16)
        >>> pkt_match(embeddings, pkt_target(embeddings))
        tensor(0.)
    """
    require_embeddings(student, "pkt")
    require_embeddings(target, "pkt")
    require_same_batch(student, target, "pkt")
    ours, theirs = _neighbors(student), _neighbors(target)
    return (theirs * torch.log((theirs + EPS) / (ours + EPS))).mean()


def _neighbors(embeddings: Tensor) -> Tensor:
    """Return p (B, B) with rows that sum to 1; samples of zeros are equally near to all and get no gradient."""
    norm = torch.linalg.vector_norm(embeddings, dim=1, keepdim=True)
    directions = embeddings / (norm + EPS).masked_fill(norm <= SHORTEST, float("inf"))
    nearness = (directions @ directions.mT + 1) / 2
    return nearness / nearness.sum(1, keepdim=True)
