"""Similarity-preserving loss (SP): samples that are similar for the teacher shall be similar for the student.

Tung and Mori, "Similarity-Preserving Knowledge Distillation", ICCV 2019, https://arxiv.org/abs/1907.09682.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from tutelage.losses.precision import full_precision
from tutelage.losses.shapes import require_same_batch, unit_norm


def sp_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """Return the difference between the similarity matrices of student and teacher within a batch.

    ‖G_s − G_t‖²_F / B², where G is Q Qᵀ with rows of unit L2 norm and Q holds the flattened features of each sample.
    Channels and sizes may differ. The paper's weight is 3000.

    Args:
        student: The student's features (B, …), usually its last feature maps.
        teacher: The teacher's features (B, …).

    Returns:
        The loss, a scalar.

    Raises:
        TutelageError: If the batch sizes differ.

    Example:
        >>> import torch
        >>> from tutelage.losses import sp_loss
        >>> sp_loss(torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.tensor([[1.0], [1.0]]))
        tensor(0.2929)
    """
    return sp_match(student, sp_target(teacher))


@full_precision
def sp_target(teacher: Tensor) -> Tensor:
    """Return the teacher's features, detached.

    Similarities depend on the batch, so the features are what can be cached.

    Args:
        teacher: The teacher's features (B, …).

    Returns:
        The target (B, …).

    Example:
        >>> import torch
        >>> from tutelage.losses import sp_target
        >>> sp_target(torch.randn(2, 8, 4, 4, requires_grad=True)).requires_grad
        False
    """
    return teacher.detach()


@full_precision
def sp_match(student: Tensor, target: Tensor) -> Tensor:
    """Return ``sp_loss`` from the student's features and a cached target.

    Args:
        student: The student's features (B, …).
        target: Output of ``sp_target`` (B, …).

    Returns:
        The loss, a scalar.

    Raises:
        TutelageError: If the batch sizes differ.

    Example:
        >>> import torch
        >>> from tutelage.losses import sp_match, sp_target
        >>> features = torch.randn(4, 8, 4, 4)
        >>> sp_match(features, sp_target(features))
        tensor(0.)
    """
    require_same_batch(student, target, "sp")
    return F.mse_loss(_similarities(student), _similarities(target))


def _similarities(features: Tensor) -> Tensor:
    """Return Q Qᵀ (B, B) with rows of unit L2 norm; samples of zeros give rows of zeros."""
    flat = features.flatten(1)
    return unit_norm(flat @ flat.mT)
