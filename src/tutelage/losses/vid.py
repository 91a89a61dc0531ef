"""Variational information distillation (VID) loss: a Gaussian around the student's prediction of the teacher.

Ahn et al., "Variational Information Distillation for Knowledge Transfer", CVPR 2019, https://arxiv.org/abs/1904.05835.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from tutelage.errors import TutelageError
from tutelage.losses.precision import full_precision
from tutelage.losses.shapes import Size, pool_to, require_maps, require_same_batch, require_same_shape, smaller_size


def vid_loss(student: Tensor, teacher: Tensor, rho: Tensor, *, eps: float = 1e-5) -> Tensor:
    """Return the negative log-likelihood of the teacher's features under a Gaussian predicted by the student.

    ½ ((μ − F_t)² / σ² + log σ²), averaged over all elements, with σ²_c = softplus(ρ_c) + eps for each channel. The
    constant log(2π) / 2 is left out, so the loss can be negative. The larger feature map is average-pooled to the
    smaller.

    Args:
        student: The student's prediction μ (B, C, H, W) of the teacher's features, see ``VIDRegressor``.
        teacher: The teacher's features F_t (B, C, H, W).
        rho: The trained parameter ρ (C,) of the variance.
        eps: Smallest variance.

    Returns:
        The loss, a scalar.

    Raises:
        TutelageError: If batch sizes or channels differ, or ``rho`` has a different length.

    Example:
        >>> import math, torch
        >>> from tutelage.losses import vid_loss
        >>> variance_one = torch.full((8,), math.log(math.e - 1))
        >>> vid_loss(torch.ones(2, 8, 4, 4), torch.zeros(2, 8, 4, 4), variance_one, eps=0.0)
        tensor(0.5000)
    """
    require_maps(student, "vid")
    require_maps(teacher, "vid")
    return vid_match(student, vid_target(teacher, smaller_size(student, teacher)), rho, eps=eps)


@full_precision
def vid_target(teacher: Tensor, size: Size | None = None) -> Tensor:
    """Return the teacher's features, detached and pooled.

    Args:
        teacher: The teacher's features (B, C, H, W).
        size: Size (H, W) to average-pool larger features to. None keeps their size.

    Returns:
        The target (B, C, H, W).

    Example:
        >>> import torch
        >>> from tutelage.losses import vid_target
        >>> vid_target(torch.randn(2, 16, 8, 8), size=(4, 4)).shape
        torch.Size([2, 16, 4, 4])
    """
    require_maps(teacher, "vid")
    return pool_to(teacher.detach(), size)


@full_precision
def vid_match(student: Tensor, target: Tensor, rho: Tensor, *, eps: float = 1e-5) -> Tensor:
    """Return ``vid_loss`` from the student's prediction and a cached target.

    A prediction larger than the target is average-pooled to the target's size.

    Args:
        student: The student's prediction μ (B, C, H, W) of the teacher's features.
        target: Output of ``vid_target``.
        rho: The trained parameter ρ (C,) of the variance.
        eps: Smallest variance.

    Returns:
        The loss, a scalar.

    Raises:
        TutelageError: If batch sizes or channels differ, or ``rho`` has a different length.

    Example:
        >>> import math, torch
        >>> from tutelage.losses import vid_match, vid_target
        >>> features = torch.ones(2, 8, 4, 4)
        >>> variance_one = torch.full((8,), math.log(math.e - 1))
        >>> vid_match(features, vid_target(features), variance_one, eps=0.0)
        tensor(0.)
    """
    require_maps(student, "vid")
    require_same_batch(student, target, "vid")
    student = pool_to(student, (target.shape[2], target.shape[3]))
    require_same_shape(
        student,
        target,
        "vid",
        "add a VIDRegressor for channels, pass `size` to the target if the student's map is smaller",
    )
    if rho.shape != (student.shape[1],):
        raise TutelageError(
            f"vid: rho of shape {tuple(rho.shape)} does not fit {student.shape[1]} channels; pass one value per channel"
        )
    variance = F.softplus(rho)[:, None, None] + eps
    return ((student - target).square() / variance + variance.log()).mean() / 2
