"""SimKD losses: the student's projected last map regresses the teacher's.

Chen et al., "Knowledge Distillation with the Reused Teacher Classifier", CVPR 2022, https://arxiv.org/abs/2203.14001.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from tutelage.losses.precision import full_precision
from tutelage.losses.shapes import Size, fit_to_target, pool_to, require_maps, smaller_size


def simkd_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """Return the mean squared error between the student's projected last map and the teacher's.

    This loss alone trains the student (weight 1, no cross-entropy, no KD). The deployed student is its backbone, the
    projector and the teacher's classifier. The larger map is average-pooled to the smaller.

    Args:
        student: The student's last map (B, C, H, W) after ``models.SimKDProjector``.
        teacher: The teacher's last map (B, C, H, W) before global pooling.

    Returns:
        The loss, a scalar.

    Raises:
        TutelageError: If batch sizes or channels differ.

    Example:
        >>> import torch
        >>> from tutelage.losses import simkd_loss
        >>> simkd_loss(torch.full((2, 16, 4, 4), 3.0), torch.ones(2, 16, 8, 8))
        tensor(4.)
    """
    require_maps(student, "simkd")
    require_maps(teacher, "simkd")
    return simkd_match(student, simkd_target(teacher, smaller_size(student, teacher)))


@full_precision
def simkd_target(teacher: Tensor, size: Size | None = None) -> Tensor:
    """Return the teacher's last map, detached and pooled.

    Args:
        teacher: The teacher's last map (B, C, H, W).
        size: Size (H, W) to average-pool a larger map to. None keeps its size.

    Returns:
        The target (B, C, H, W).

    Example:
        >>> import torch
        >>> from tutelage.losses import simkd_target
        >>> simkd_target(torch.randn(2, 16, 8, 8), size=(4, 4)).shape
        torch.Size([2, 16, 4, 4])
    """
    require_maps(teacher, "simkd")
    return pool_to(teacher.detach(), size)


@full_precision
def simkd_match(student: Tensor, target: Tensor) -> Tensor:
    """Return ``simkd_loss`` from the student's projected map and a cached target.

    A student map larger than the target is average-pooled to the target's size.

    Args:
        student: The student's last map (B, C, H, W) after ``models.SimKDProjector``.
        target: Output of ``simkd_target``.

    Returns:
        The loss, a scalar.

    Raises:
        TutelageError: If batch sizes or channels differ.

    Example:
        >>> import torch
        >>> from tutelage.losses import simkd_match
        >>> simkd_match(torch.ones(2, 16, 4, 4), target=torch.zeros(2, 16, 4, 4))
        tensor(1.)
    """
    return F.mse_loss(fit_to_target(student, target, "simkd"), target)
