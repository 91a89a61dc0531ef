"""Simple recipe (SRD) loss: the soft maximum of the differences between normalized embeddings.

Miles and Mikolajczyk, "Understanding the Role of the Projector in Knowledge Distillation", AAAI 2024,
https://doi.org/10.1609/aaai.v38i5.28219.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from tutelage.errors import TutelageError
from tutelage.losses.precision import full_precision
from tutelage.losses.shapes import require_embeddings, require_same_shape


def srd_loss(student: Tensor, teacher: Tensor, *, exponent: float = 4.0, bn_eps: float = 1e-4) -> Tensor:
    """Return the logarithm of the summed powers of the differences between normalized embeddings.

    log Σ_bd abs(n(e_s) − n(e_t))^p, where n is batch normalization of each feature without weight and bias. The sum is
    over batch and features, so the loss grows with the logarithm of the batch size; its gradient does not. The authors'
    weight is 2, beside the KL divergence at temperature 1.

    Args:
        student: The student's embeddings (B, D) after a linear layer.
        teacher: The teacher's embeddings (B, D).
        exponent: The exponent p, at least 1.
        bn_eps: Added to the variances.

    Returns:
        The loss, a scalar. It is not below the logarithm of the smallest positive number, for equal embeddings.

    Raises:
        TutelageError: If the shapes differ, an input is not two-dimensional or ``exponent`` is below 1.

    Example:
        >>> import torch
        >>> from tutelage.losses import srd_loss
        >>> embeddings = torch.tensor([[-1.0], [1.0]])
        >>> srd_loss(embeddings, -embeddings, bn_eps=0.0)  # log(2⁴ + 2⁴)
        tensor(3.4657)
    """
    return srd_match(student, srd_target(teacher), exponent=exponent, bn_eps=bn_eps)


@full_precision
def srd_target(teacher: Tensor) -> Tensor:
    """Return the teacher's embeddings, detached.

    They are normalized by the batch, so the embeddings are what can be cached.

    Args:
        teacher: The teacher's embeddings (B, D).

    Returns:
        The target (B, D).

    Example:
        >>> import torch
        >>> from tutelage.losses import srd_target
        >>> srd_target(torch.randn(2, 16, requires_grad=True)).requires_grad
        False
    """
    return teacher.detach()


@full_precision
def srd_match(student: Tensor, target: Tensor, *, exponent: float = 4.0, bn_eps: float = 1e-4) -> Tensor:
    """Return ``srd_loss`` from the student's embeddings and a cached target.

    Args:
        student: The student's embeddings (B, D) after a linear layer.
        target: Output of ``srd_target`` (B, D).
        exponent: The exponent p, at least 1.
        bn_eps: Added to the variances.

    Returns:
        The loss, a scalar.

    Raises:
        TutelageError: If the shapes differ, an input is not two-dimensional or ``exponent`` is below 1.

    Example:
        >>> import torch
        >>> from tutelage.losses import srd_match, srd_target
        >>> embeddings = torch.tensor([[-1.0], [1.0]])
        >>> srd_match(embeddings, srd_target(-embeddings), bn_eps=0.0)
        tensor(3.4657)
    """
    require_embeddings(student, "srd")
    require_same_shape(student, target, "srd", "add a linear layer to the teacher's width")
    if exponent < 1:
        raise TutelageError(f"srd: exponent = {exponent} must be at least 1; the usual value is 4.0")
    powers = (_normalized(student, bn_eps) - _normalized(target, bn_eps)).abs().pow(exponent)
    return powers.sum().clamp_min(torch.finfo(powers.dtype).tiny).log()


def _normalized(embeddings: Tensor, eps: float) -> Tensor:
    return F.layer_norm(embeddings.mT, embeddings.shape[:1], eps=eps)
