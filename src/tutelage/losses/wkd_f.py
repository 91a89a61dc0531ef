"""WKD-F losses: the Wasserstein distance between Gaussians fitted to the maps of student and teacher.

Lv, Yang and Li, "Wasserstein Distance Rivals Kullback-Leibler Divergence for Knowledge Distillation", NeurIPS 2024,
https://arxiv.org/abs/2412.08139.
"""

from __future__ import annotations

import torch
from torch import Tensor

from tutelage.errors import TutelageError
from tutelage.losses.precision import full_precision
from tutelage.losses.shapes import require_maps, require_same_shape

EPSILON = 1e-5


def wkd_f_loss(student: Tensor, teacher: Tensor, *, ratio: float = 2.0, grid: int = 1, eps: float = EPSILON) -> Tensor:
    """Return the squared Wasserstein distance between the Gaussians of student and teacher, with diagonal covariance.

    ratio · Σ (μ_s − μ_t)² + Σ (σ_s − σ_t)² over the channels, averaged over the batch and the cells of a grid. μ is the
    mean and σ = √(var + eps) the deviation (unbiased variance) of a channel over the positions of a cell. Sizes of the
    maps may differ. The published settings are a ratio from 2 to 8, a grid of 1 or 4 and a weight from 0.02 to 0.5.

    Args:
        student: The student's map (B, C, H, W) after a connector such as ``projector``.
        teacher: The teacher's map (B, C, H, W).
        ratio: Weight of the means.
        grid: Cells per side. Cells overlap as in adaptive pooling if the sides are not multiples.
        eps: Added to the variances. It bounds the gradient of a constant channel.

    Returns:
        The loss, a scalar.

    Raises:
        TutelageError: If batch sizes or channels differ, or ``grid`` is not positive.

    Example:
        >>> import torch
        >>> from tutelage.losses import wkd_f_loss
        >>> wkd_f_loss(torch.ones(2, 16, 4, 4), torch.zeros(2, 16, 8, 8), ratio=2.0)
        tensor(32.)
    """
    return wkd_f_match(student, wkd_f_target(teacher, grid=grid, eps=eps), ratio=ratio, grid=grid, eps=eps)


@full_precision
def wkd_f_target(teacher: Tensor, *, grid: int = 1, eps: float = EPSILON) -> Tensor:
    """Return the means and deviations of the teacher's map, detached.

    Args:
        teacher: The teacher's map (B, C, H, W).
        grid: Cells per side.
        eps: Added to the variances.

    Returns:
        The target (B, 2, C, grid²): means, then deviations.

    Raises:
        TutelageError: If ``grid`` is not positive.

    Example:
        >>> import torch
        >>> from tutelage.losses import wkd_f_target
        >>> wkd_f_target(torch.randn(2, 16, 8, 8), grid=4).shape
        torch.Size([2, 2, 16, 16])
    """
    return _moments(teacher.detach(), grid, eps)


@full_precision
def wkd_f_match(student: Tensor, target: Tensor, *, ratio: float = 2.0, grid: int = 1, eps: float = EPSILON) -> Tensor:
    """Return ``wkd_f_loss`` from the student's map and a cached target.

    Args:
        student: The student's map (B, C, H, W) after its connector.
        target: Output of ``wkd_f_target`` with the same ``grid`` and ``eps``.
        ratio: Weight of the means.
        grid: Cells per side.
        eps: Added to the variances.

    Returns:
        The loss, a scalar.

    Raises:
        TutelageError: If batch sizes or channels differ, or ``grid`` is not positive.

    Example:
        >>> import torch
        >>> from tutelage.losses import wkd_f_match, wkd_f_target
        >>> wkd_f_match(torch.ones(2, 16, 4, 4), wkd_f_target(torch.ones(2, 16, 4, 4)))
        tensor(0.)
    """
    moments = _moments(student, grid, eps)
    require_same_shape(
        moments, target, "wkd_f moments (batch, 2, channels, cells)", "add a connector (a 1×1 convolution) for channels"
    )
    of_means, of_deviations = (moments - target).square().sum((0, 2, 3))
    return (ratio * of_means + of_deviations) / (student.shape[0] * grid**2)


def _moments(features: Tensor, grid: int, eps: float) -> Tensor:
    """Means and deviations (B, 2, C, grid²) of the channels over the cells of a grid."""
    require_maps(features, "wkd_f")
    if grid < 1:
        raise TutelageError(f"wkd_f: grid {grid} must be positive; the usual values are 1 and 4")
    height, width = features.shape[2:]
    if height % grid == 0 and width % grid == 0:
        return _moments_of_cells(features, grid, eps)
    windows = [features[:, :, rows, columns] for rows in _windows(height, grid) for columns in _windows(width, grid)]
    return torch.cat([_moments_of_cells(window, 1, eps) for window in windows], dim=3)


def _moments_of_cells(features: Tensor, grid: int, eps: float) -> Tensor:
    """The same for sides that are multiples of the grid."""
    cells = features.unflatten(3, (grid, -1)).unflatten(2, (grid, -1))
    mean = cells.mean((3, 5), keepdim=True)
    count = cells.shape[3] * cells.shape[5]
    # One value has no unbiased variance; it counts as 0.
    variance = (cells - mean).square().sum((3, 5)) / max(1, count - 1)
    return torch.stack([mean[:, :, :, 0, :, 0], (variance + eps).sqrt()], dim=1).flatten(3)


def _windows(length: int, count: int) -> list[slice]:
    """The windows of adaptive pooling."""
    return [slice(i * length // count, -(-(i + 1) * length // count)) for i in range(count)]
