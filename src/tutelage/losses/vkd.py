"""VkD losses: the student's embedding, orthogonally projected, against the teacher's normalized embedding.

Miles, Elezi and Deng, "VkD: Improving Knowledge Distillation using Orthogonal Projections", CVPR 2024,
https://arxiv.org/abs/2403.06213.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from tutelage.losses.precision import full_precision
from tutelage.losses.shapes import require_same_shape


def vkd_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """Return the smooth L1 distance to the teacher's normalized embedding.

    The mean over all elements of d² / 2 where abs(d) < 1 and abs(d) − ½ elsewhere, with d the difference between the
    student's projected embedding and the teacher's, normalized to mean 0 and variance 1 over its entries.

    Args:
        student: The student's embedding (B, D) after ``orthogonal_projector``.
        teacher: The teacher's embedding (B, D).

    Returns:
        The loss, a scalar.

    Raises:
        TutelageError: If the shapes differ.

    Example:
        >>> import torch
        >>> from tutelage.losses import vkd_loss
        >>> vkd_loss(torch.tensor([[-3.0, 3.0]]), torch.tensor([[5.0, 7.0]]))
        tensor(1.5000)
    """
    return vkd_match(student, vkd_target(teacher))


@full_precision
def vkd_target(teacher: Tensor) -> Tensor:
    """Return the teacher's embedding, detached and normalized to mean 0 and variance 1 over its entries.

    Args:
        teacher: The teacher's embedding (B, D).

    Returns:
        The target (B, D).

    Example:
        >>> import torch
        >>> from tutelage.losses import vkd_target
        >>> vkd_target(torch.tensor([[5.0, 7.0]]))
        tensor([[-1.0000,  1.0000]])
    """
    return F.layer_norm(teacher.detach(), teacher.shape[1:])


@full_precision
def vkd_match(student: Tensor, target: Tensor) -> Tensor:
    """Return ``vkd_loss`` from the student's projected embedding and a cached target.

    Args:
        student: The student's embedding (B, D) after ``orthogonal_projector``.
        target: Output of ``vkd_target``.

    Returns:
        The loss, a scalar.

    Raises:
        TutelageError: If the shapes differ.

    Example:
        >>> import torch
        >>> from tutelage.losses import vkd_match
        >>> vkd_match(torch.tensor([[3.0, 0.0]]), target=torch.zeros(1, 2))
        tensor(1.2500)
    """
    require_same_shape(student, target, "vkd", "project the student's embedding with `orthogonal_projector`")
    return F.smooth_l1_loss(student, target)
