"""Neuron selectivity transfer: the distribution of the channels' spatial maps.

Huang and Wang, "Like What You Like: Knowledge Distill via Neuron Selectivity Transfer", 2017,
https://arxiv.org/abs/1707.01219.

With x_i the C unit-norm maps of one sample (vectors of length N = H·W), stacked as rows of X:

    MMD² = mean_ij k(t_i, t_j) + mean_ij k(s_i, s_j) − 2 mean_ij k(s_i, t_j)

Three forms of it, the cheapest for each kernel, none of which holds more than one matrix a sample:

* linear: ‖mean_i s_i − mean_i t_i‖²;
* (xᵀy)²: ‖SᵀS/C_s − TᵀT/C_t‖²_F with matrices N × N, since Σ_ij (x_iᵀy_j)² = ‖XYᵀ‖²_F = ⟨XᵀX, YᵀY⟩; where N is larger
  than C_t, the three norms apart, each from the smaller of its two products. The student's maps are multiplied as they
  are, and the products scaled by the roots of their diagonal: no further pass over the maps;
* others: the C × C matrices of kernel values.
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

# Squared distances between unit vectors below this are rounding in float32.
SMALLEST_BANDWIDTH = 1e-6


def nst_loss(
    student: Tensor,
    teacher: Tensor,
    kernel: Kernel = "polynomial",
    degree: int = 2,
    offset: float = 0.0,
    bandwidth: float | None = None,
) -> Tensor:
    """Squared MMD between the L2-normalised channel maps of student and teacher, mean over the batch.

    ``kernel``: "linear" xᵀy; "polynomial" (xᵀy + offset)^degree; "gaussian" exp(−‖x − y‖² / 2σ²) with σ² =
    ``bandwidth``, by default the mean of ‖s_i − t_j‖² over all teacher-student channel pairs of the sample, detached.
    Kernel values are averaged over channel pairs, so features (B, C, H, W) may differ in channels; the larger map is
    average-pooled to the smaller. The paper's best is polynomial, degree 2, offset 0, with weight λ/2 = 50 in its
    authors' code. Raises TutelageError where the batches differ or the kernel is unknown.
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
    """What the kernel needs of the teacher (B, C, H, W), detached; pooled to ``size`` = (H, W) first where larger.

    With N = H·W after pooling: "linear" keeps the mean map (B, N); the polynomial of degree 2 and offset 0 keeps
    TᵀT/C (B, N, N) where N ≤ C; all others keep the unit-norm maps T (B, C, N).
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
    """:func:`nst_loss` of the student's features and an :func:`nst_target` of the same size, kernel, degree, offset."""
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
    """(B, C, H, W) → (B, C, N), pooled to ``size``."""
    require_maps(features, "nst")
    return pool_to(features, size).flatten(2)


def _require_fit(maps: Tensor, target: Tensor) -> None:
    require_same_batch(maps, target, "nst")
    if maps.shape[2] != target.shape[-1]:
        raise TutelageError(
            f"nst: the student's maps have {maps.shape[2]} positions and the target's {target.shape[-1]}: "
            "give target and match the same `size`, no larger than either feature map"
        )


def _is_gram(kernel: str, degree: float, offset: float) -> bool:
    return kernel == "polynomial" and degree == 2 and offset == 0


def _gram(maps: Tensor) -> Tensor:
    """XᵀX / C: (B, C, N) → (B, N, N)."""
    return maps.mT @ maps / maps.shape[1]


def _gram_distance(flat: Tensor, target: Tensor) -> Tensor:
    """MMD² (B,) under (xᵀy)² of maps not yet normalised, and a target.

    A square target is TᵀT/C: :func:`nst_target` keeps maps (C, N) only where C < N.
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
    """1/√x, but 0 without gradient for the square of a vector too short to have a direction."""
    return squares.masked_fill(squares <= SHORTEST**2, float("inf")).rsqrt()


def _mmd(student: Tensor, teacher: Tensor, kernel: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """MMD² (B,) of maps (B, C, N) under any kernel that gives (B, C_x, C_y)."""
    within = kernel(student, student).mean((1, 2)) + kernel(teacher, teacher).mean((1, 2))
    return within - 2 * kernel(student, teacher).mean((1, 2))


def _squared_distances(x: Tensor, y: Tensor) -> Tensor:
    """‖x_i − y_j‖² (B, C_x, C_y) through the products: no tensor of differences."""
    squares = x.square().sum(2)[:, :, None] + y.square().sum(2)[:, None, :]
    return (squares - 2 * x @ y.mT).clamp_min(0)


def _pair_variance(student: Tensor, teacher: Tensor) -> Tensor:
    """σ² (B, 1, 1): the mean squared distance over all student-teacher pairs of channels, detached."""
    distances = _squared_distances(student.detach(), teacher)
    return distances.mean((1, 2), keepdim=True).clamp_min(SMALLEST_BANDWIDTH)
