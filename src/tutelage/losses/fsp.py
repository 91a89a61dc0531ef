"""Flow of the solution procedure: how one layer's channels relate to another's.

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
    """G_ij = Σ_hw a_ihw · b_jhw / (H·W): (B, C_a, H, W) and (B, C_b, H, W) → (B, C_a, C_b).

    Where sizes differ, the larger map is pooled to the smaller first: "max" as in the paper, "avg" as in
    RepDistiller. Raises TutelageError for other shapes, different batches or an unknown ``pool``.
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
    """Distance between the FSP matrices of a pair of layers in student and teacher.

    ``form``: "paper" is ‖G_s − G_t‖²_F, mean over the batch; "mean" is the mean of squared differences over all
    elements (RepDistiller, weight 1 in its first stage). Each pair is (features of the earlier layer, features of
    the later one); its channels have to equal the other network's, its spatial sizes do not.
    Raises TutelageError where batch or channels differ.
    """
    return fsp_match(*student_pair, fsp_target(*teacher_pair, pool), form, pool)


@full_precision
def fsp_target(a: Tensor, b: Tensor, pool: Pool = "max") -> Tensor:
    """The teacher's FSP matrix (B, C_a, C_b), detached."""
    return fsp_matrix(a.detach(), b.detach(), pool)


@full_precision
def fsp_match(a: Tensor, b: Tensor, target: Tensor, form: FSPForm = "paper", pool: Pool = "max") -> Tensor:
    """:func:`fsp_loss` of the student's pair of features and an :func:`fsp_target`."""
    if form not in FORMS:
        raise unknown("fsp form", form, FORMS)
    matrix = fsp_matrix(a, b, pool)
    require_same_shape(
        matrix,
        target,
        "fsp matrix (batch, channels, channels)",
        "both layers need the teacher's channels, or connectors",
    )
    if form == "mean":
        return F.mse_loss(matrix, target)
    return F.mse_loss(matrix, target, reduction="sum") / matrix.shape[0]
