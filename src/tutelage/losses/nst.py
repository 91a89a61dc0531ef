"""Neuron selectivity transfer (NST) losses: match the distribution of the channels' spatial maps.

Huang and Wang, "Like What You Like: Knowledge Distill via Neuron Selectivity Transfer", 2017,
https://arxiv.org/abs/1707.01219.

With x_i the C unit-norm maps of one sample (vectors of length N = H·W), stacked as rows of X:

    MMD² = mean_ij k(t_i, t_j) + mean_ij k(s_i, s_j) − 2 mean_ij k(s_i, t_j)

The implementation uses the cheapest form for each kernel, with memory at most quadratic in C or N per sample:

* linear: ‖mean_i s_i − mean_i t_i‖².
* (xᵀy)²: ‖SᵀS/C_s − TᵀT/C_t‖²_F with N × N matrices, since Σ_ij (x_iᵀy_j)² = ‖XYᵀ‖²_F = ⟨XᵀX, YᵀY⟩. If N is larger
  than C_t, the three norms are computed separately, each from the smaller of its two products. The student's maps are
  multiplied unnormalized, and the products are scaled by the square roots of their diagonal, which saves a pass over
  the maps.
* others: matrices of kernel values between channels.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from tutelage.errors import TutelageError, unknown
from tutelage.losses.precision import full_precision
from tutelage.losses.shapes import (
    SHORTEST,
    Size,
    pool_to,
    require_maps,
    require_same_batch,
    smaller_size,
    unit_norm,
)

Kernel = Literal["linear", "polynomial", "gaussian"]
KERNELS = ("linear", "polynomial", "gaussian")

# Smaller squared distances between unit vectors are float32 rounding errors.
SMALLEST_BANDWIDTH = 1e-6


def nst_loss(
    student: Tensor,
    teacher: Tensor,
    kernel: Kernel = "polynomial",
    degree: int = 2,
    offset: float = 0.0,
    bandwidth: float | None = None,
) -> Tensor:
    """Return the squared MMD between the unit-norm channel maps of student and teacher.

    Kernel values are averaged over pairs of channels, so channels may differ. The larger feature map is average-pooled
    to the smaller. The paper's best kernel is polynomial with degree 2 and offset 0; the authors' code weights it with
    λ/2 = 50.

    Args:
        student: The student's features (B, C_s, H_s, W_s).
        teacher: The teacher's features (B, C_t, H_t, W_t).
        kernel: "linear" xᵀy, "polynomial" (xᵀy + offset)^degree, or "gaussian" exp(−‖x − y‖² / 2σ²).
        degree: Degree of the polynomial kernel.
        offset: Offset of the polynomial kernel.
        bandwidth: σ² of the Gaussian kernel. None uses the mean of ‖s_i − t_j‖² over all channel pairs of the sample,
            detached.

    Returns:
        The loss averaged over the batch, a scalar.

    Raises:
        TutelageError: If the batch sizes differ, an input is not four-dimensional or ``kernel`` is unknown.

    Example:
        >>> import torch
        >>> from tutelage.losses import nst_loss
        >>> features = torch.ones(2, 8, 4, 4)
        >>> nst_loss(features, features, kernel="linear")
        tensor(0.)
    """
    require_maps(student, "nst")
    require_maps(teacher, "nst")
    size = smaller_size(student, teacher)
    target = nst_target(teacher, size, kernel, degree, offset)
    return nst_match(student, target, size, kernel, degree, offset, bandwidth)


@full_precision
def nst_target(
    teacher: Tensor,
    size: Size | None = None,
    kernel: Kernel = "polynomial",
    degree: int = 2,
    offset: float = 0.0,
) -> Tensor:
    """Return the smallest tensor the kernel needs from the teacher, detached.

    Args:
        teacher: The teacher's features (B, C, H, W).
        size: Size (H, W) to average-pool larger features to. None keeps their size.
        kernel: "linear", "polynomial" or "gaussian".
        degree: Degree of the polynomial kernel.
        offset: Offset of the polynomial kernel.

    Returns:
        With N = H·W after pooling: the mean map (B, N) for "linear", TᵀT/C (B, N, N) for the polynomial of degree 2 and
        offset 0 if N ≤ C, and the unit-norm maps T (B, C, N) otherwise.

    Example:
        >>> import torch
        >>> from tutelage.losses import nst_target
        >>> nst_target(torch.randn(2, 64, 8, 8), size=(4, 4)).shape
        torch.Size([2, 16, 16])
    """
    maps = unit_norm(_flat_maps(teacher.detach(), size))
    if kernel == "linear":
        return maps.mean(1)
    if _is_gram(kernel, degree, offset) and maps.shape[2] <= maps.shape[1]:
        return _gram(maps)
    return maps


@full_precision
def nst_match(
    student: Tensor,
    target: Tensor,
    size: Size | None = None,
    kernel: Kernel = "polynomial",
    degree: int = 2,
    offset: float = 0.0,
    bandwidth: float | None = None,
) -> Tensor:
    """Return ``nst_loss`` from the student's features and a cached target.

    Args:
        student: The student's features (B, C, H, W).
        target: Output of ``nst_target`` with the same ``size``, ``kernel``, ``degree`` and ``offset``.
        size: Size (H, W) to average-pool larger features to. None keeps their size.
        kernel: "linear", "polynomial" or "gaussian".
        degree: Degree of the polynomial kernel.
        offset: Offset of the polynomial kernel.
        bandwidth: σ² of the Gaussian kernel, see ``nst_loss``.

    Returns:
        The loss averaged over the batch, a scalar.

    Raises:
        TutelageError: If batch sizes or spatial positions differ, or ``kernel`` is unknown.

    Example:
        >>> import torch
        >>> from tutelage.losses import nst_match, nst_target
        >>> features = torch.ones(2, 8, 4, 4)
        >>> target = nst_target(features, kernel="linear")
        >>> nst_match(features, target, kernel="linear")
        tensor(0.)
    """
    if kernel not in KERNELS:
        raise unknown("nst kernel", kernel, KERNELS)
    flat = _flat_maps(student, size)
    _require_fit(flat, target)
    if _is_gram(kernel, degree, offset):
        return _gram_distance(flat, target).mean()
    maps = unit_norm(flat)
    if kernel == "linear":
        return (maps.mean(1) - target).square().sum(1).mean()
    if kernel == "polynomial":
        return _mmd(maps, target, lambda x, y: (x @ y.mT + offset) ** degree).mean()
    variance = _pair_variance(maps, target) if bandwidth is None else bandwidth
    return _mmd(maps, target, lambda x, y: torch.exp(-_squared_distances(x, y) / (2 * variance))).mean()


def _flat_maps(features: Tensor, size: Size | None) -> Tensor:
    """Pool features (B, C, H, W) to ``size`` and flatten them to (B, C, N)."""
    require_maps(features, "nst")
    return pool_to(features, size).flatten(2)


def _require_fit(maps: Tensor, target: Tensor) -> None:
    require_same_batch(maps, target, "nst")
    if maps.shape[2] != target.shape[-1]:
        raise TutelageError(
            f"nst: the student's maps have {maps.shape[2]} positions and the target's have {target.shape[-1]}; "
            "pass the same `size` to target and match, no larger than either feature map"
        )


def _is_gram(kernel: str, degree: float, offset: float) -> bool:
    return kernel == "polynomial" and degree == 2 and offset == 0


def _gram(maps: Tensor) -> Tensor:
    """Return XᵀX / C (B, N, N) of maps (B, C, N)."""
    return maps.mT @ maps / maps.shape[1]


def _gram_distance(flat: Tensor, target: Tensor) -> Tensor:
    """Return MMD² (B,) under the kernel (xᵀy)² of unnormalized student maps and a target.

    A square target is TᵀT/C, because ``nst_target`` returns maps (C, N) only if C < N.
    """
    if target.shape[1] == target.shape[2]:
        return (_gram(unit_norm(flat)) - target).square().sum((1, 2))
    channels, positions = flat.shape[1:]
    if channels < positions:
        products = flat @ flat.mT
        scale = _inverse_root(products.diagonal(dim1=1, dim2=2)).unsqueeze(2)
        within = (products * scale * scale.mT).square().mean((1, 2))
        cross = (flat @ target.mT * scale).square().mean((1, 2))
    else:
        maps = unit_norm(flat)
        within = _gram(maps).square().sum((1, 2))
        cross = (maps @ target.mT).square().mean((1, 2))
    return within + (target @ target.mT).square().mean((1, 2)) - 2 * cross


def _inverse_root(squares: Tensor) -> Tensor:
    """Return 1/√x, or 0 without gradient where x is the square of a vector that counts as zero."""
    return squares.masked_fill(squares <= SHORTEST**2, float("inf")).rsqrt()


def _mmd(student: Tensor, teacher: Tensor, kernel: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """Return MMD² (B,) of maps (B, C, N) under a kernel that returns (B, C_x, C_y)."""
    within = kernel(student, student).mean((1, 2)) + kernel(teacher, teacher).mean((1, 2))
    return within - 2 * kernel(student, teacher).mean((1, 2))


def _squared_distances(x: Tensor, y: Tensor) -> Tensor:
    """Return ‖x_i − y_j‖² (B, C_x, C_y), computed from products to avoid a tensor of differences."""
    squares = x.square().sum(2)[:, :, None] + y.square().sum(2)[:, None, :]
    return (squares - 2 * x @ y.mT).clamp_min(0)


def _pair_variance(student: Tensor, teacher: Tensor) -> Tensor:
    """Return σ² (B, 1, 1), the mean squared distance over all student-teacher pairs of channels, detached."""
    distances = _squared_distances(student.detach(), teacher)
    return distances.mean((1, 2), keepdim=True).clamp_min(SMALLEST_BANDWIDTH)
