"""Correlation congruence (CC) losses: match the correlations between the samples of a batch.

Peng et al., "Correlation Congruence for Knowledge Distillation", ICCV 2019, https://arxiv.org/abs/1904.01802.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from tutelage.errors import TutelageError, unknown
from tutelage.losses.precision import full_precision
from tutelage.losses.shapes import require_embeddings, require_same_batch, require_same_shape, unit_norm

CCForm = Literal["kernel", "consecutive"]
FORMS = ("kernel", "consecutive")


def cc_loss(student: Tensor, teacher: Tensor, *, form: CCForm = "kernel", gamma: float = 0.4, order: int = 2) -> Tensor:
    """Return the difference between the correlations of student and teacher within a batch.

    Args:
        student: The student's embeddings (B, D_s).
        teacher: The teacher's embeddings (B, D_t).
        form: "kernel" is the paper's ‖K_s − K_t‖²_F / B², where K_ij is the Taylor series of the Gaussian kernel
            exp(−γ ‖e_i − e_j‖²) of unit vectors, Σ_p e^(−2γ) (2γ cos(e_i, e_j))^p / p!, up to ``order``. Widths may
            differ. "consecutive" is RepDistiller's Σ_i Σ_d δ_id δ_(i+1)d / (B − 1) with δ = abs(e_s − e_t) (weight
            0.02). It needs equal widths and depends on the order of the batch.
        gamma: γ of the kernel.
        order: Order of the Taylor series, at least 1.

    Returns:
        The loss, a scalar.

    Raises:
        TutelageError: If the batch sizes differ, an input is not two-dimensional, ``form`` is unknown or ``order`` is
            below 1.

    Example:
        >>> import torch
        >>> from tutelage.losses import cc_loss
        >>> cc_loss(torch.ones(3, 4), torch.zeros(3, 4), form="consecutive")
        tensor(4.)
    """
    return cc_match(student, cc_target(teacher), form=form, gamma=gamma, order=order)


@full_precision
def cc_target(teacher: Tensor) -> Tensor:
    """Return the teacher's embeddings, detached.

    Correlations depend on the batch, so the embeddings are what can be cached.

    Args:
        teacher: The teacher's embeddings (B, D).

    Returns:
        The target (B, D).

    Example:
        >>> import torch
        >>> from tutelage.losses import cc_target
        >>> cc_target(torch.randn(2, 16, requires_grad=True)).requires_grad
        False
    """
    return teacher.detach()


@full_precision
def cc_match(student: Tensor, target: Tensor, *, form: CCForm = "kernel", gamma: float = 0.4, order: int = 2) -> Tensor:
    """Return ``cc_loss`` from the student's embeddings and a cached target.

    RepDistiller trains a linear layer for each network to bring both to one width. The target may therefore have a
    gradient, as the output of such a layer.

    Args:
        student: The student's embeddings (B, D_s).
        target: Output of ``cc_target`` (B, D_t).
        form: "kernel" or "consecutive", see ``cc_loss``.
        gamma: γ of the kernel.
        order: Order of the Taylor series, at least 1.

    Returns:
        The loss, a scalar.

    Raises:
        TutelageError: If the batch sizes differ, an input is not two-dimensional, ``form`` is unknown or ``order`` is
            below 1.

    Example:
        >>> import torch
        >>> from tutelage.losses import cc_match, cc_target
        >>> embeddings = torch.randn(8, 16)
        >>> cc_match(embeddings, cc_target(embeddings))
        tensor(0.)
    """
    if form not in FORMS:
        raise unknown("cc form", form, FORMS)
    if order < 1:
        raise TutelageError(f"cc: order = {order} must be at least 1; the usual value is 2")
    require_embeddings(student, "cc")
    require_embeddings(target, "cc")
    if form == "kernel":
        require_same_batch(student, target, "cc")
        return F.mse_loss(_kernel(student, gamma, order), _kernel(target, gamma, order))
    require_same_shape(student, target, "cc", "map both to one width with linear layers")
    differences = (student - target).abs()
    return (differences[:-1] * differences[1:]).sum() / max(len(differences) - 1, 1)


def _kernel(embeddings: Tensor, gamma: float, order: int) -> Tensor:
    """Return the kernel (B, B); its constant term is left out, because it cancels."""
    directions = unit_norm(embeddings)
    cosines = directions @ directions.mT
    terms = [(2 * gamma) ** p / math.factorial(p) * cosines**p for p in range(1, order + 1)]
    return math.exp(-2 * gamma) * torch.stack(terms).sum(0)
