"""FSP (flow of the solution procedure) losses: correlations between the channels of two layers.

Yim et al., "A Gift from Knowledge Distillation: Fast Optimization, Network Minimization and Transfer Learning",
CVPR 2017.
"""

from __future__ import annotations

from typing import Literal

import torch.nn.functional as F
from torch import Tensor

from tutelage.errors import unknown
from tutelage.losses.precision import full_precision
from tutelage.losses.shapes import Pool, pool_to, require_maps, require_same_batch, require_same_shape, smaller_size

FSPForm = Literal["paper", "mean"]
FORMS = ("paper", "mean")


@full_precision
def fsp_matrix(a: Tensor, b: Tensor, pool: Pool = "max") -> Tensor:
    """Return the FSP matrix of two feature maps.

    G_ij = Σ_hw a_ihw · b_jhw / (H·W). If the sizes differ, the larger map is pooled to the smaller one first.

    Args:
        a: Features (B, C_a, H_a, W_a) of the earlier layer.
        b: Features (B, C_b, H_b, W_b) of the later layer.
        pool: "max" as in the paper, or "avg" as in RepDistiller.

    Returns:
        FSP matrices (B, C_a, C_b).

    Raises:
        TutelageError: If an input is not four-dimensional, the batch sizes differ or ``pool`` is unknown.

    Example:
        >>> import torch
        >>> from tutelage.losses import fsp_matrix
        >>> fsp_matrix(torch.randn(2, 16, 8, 8), torch.randn(2, 32, 4, 4)).shape
        torch.Size([2, 16, 32])
    """
    require_maps(a, "fsp")
    require_maps(b, "fsp")
    require_same_batch(a, b, "fsp matrix")
    size = smaller_size(a, b)
    a, b = pool_to(a, size, pool), pool_to(b, size, pool)
    return a.flatten(2) @ b.flatten(2).mT / (size[0] * size[1])


def fsp_loss(
    student_pair: tuple[Tensor, Tensor],
    teacher_pair: tuple[Tensor, Tensor],
    form: FSPForm = "paper",
    pool: Pool = "max",
) -> Tensor:
    """Return the distance between the FSP matrices of student and teacher.

    Both networks need the same channels at the two layers. Spatial sizes may differ.

    Args:
        student_pair: The student's features (B, C, H, W) at the earlier and the later layer.
        teacher_pair: The teacher's features at its earlier and later layer.
        form: "paper" is ‖G_s − G_t‖²_F averaged over the batch. "mean" is the mean squared difference over all elements
            (RepDistiller, weight 1 in its first stage).
        pool: "max" or "avg", see ``fsp_matrix``.

    Returns:
        The loss, a scalar.

    Raises:
        TutelageError: If batch sizes or channels differ, or ``form`` or ``pool`` is unknown.

    Example:
        >>> import torch
        >>> from tutelage.losses import fsp_loss
        >>> early, late = torch.randn(2, 16, 8, 8), torch.randn(2, 32, 4, 4)
        >>> fsp_loss((early, late), (early, late))
        tensor(0.)
    """
    return fsp_match(*student_pair, fsp_target(*teacher_pair, pool), form, pool)


@full_precision
def fsp_target(a: Tensor, b: Tensor, pool: Pool = "max") -> Tensor:
    """Return the teacher's FSP matrix, detached.

    Args:
        a: The teacher's features (B, C_a, H, W) at the earlier layer.
        b: The teacher's features (B, C_b, H, W) at the later layer.
        pool: "max" or "avg", see ``fsp_matrix``.

    Returns:
        FSP matrices (B, C_a, C_b).

    Example:
        >>> import torch
        >>> from tutelage.losses import fsp_target
        >>> fsp_target(torch.ones(1, 1, 2, 2), 3 * torch.ones(1, 1, 2, 2))
        tensor([[[3.]]])
    """
    return fsp_matrix(a.detach(), b.detach(), pool)


@full_precision
def fsp_match(a: Tensor, b: Tensor, target: Tensor, form: FSPForm = "paper", pool: Pool = "max") -> Tensor:
    """Return ``fsp_loss`` from the student's features and a cached target.

    Args:
        a: The student's features (B, C_a, H, W) at the earlier layer.
        b: The student's features (B, C_b, H, W) at the later layer.
        target: Output of ``fsp_target`` with the same ``pool``.
        form: "paper" or "mean", see ``fsp_loss``.
        pool: "max" or "avg", see ``fsp_matrix``.

    Returns:
        The loss, a scalar.

    Raises:
        TutelageError: If the shapes of the matrices differ or an option is unknown.

    Example:
        >>> import torch
        >>> from tutelage.losses import fsp_match, fsp_target
        >>> ones = torch.ones(1, 1, 2, 2)
        >>> fsp_match(ones, ones, target=fsp_target(ones, 3 * ones))
        tensor(4.)
    """
    if form not in FORMS:
        raise unknown("fsp form", form, FORMS)
    matrix = fsp_matrix(a, b, pool)
    require_same_shape(
        matrix,
        target,
        "fsp matrix (batch, channels, channels)",
        "use layers with the teacher's channels, or add connectors",
    )
    if form == "mean":
        return F.mse_loss(matrix, target)
    return F.mse_loss(matrix, target, reduction="sum") / matrix.shape[0]
