"""Singular-vector (KDSVD) loss: match how the leading singular vectors of two consecutive layers relate.

Lee, Kim and Song, "Self-supervised Knowledge Distillation Using Singular Value Decomposition", ECCV 2018,
https://arxiv.org/abs/1807.06819. The loss is the one of RepDistiller.

The singular vectors over the channels are eigenvectors of the smaller Gram matrix of the flattened map. Their gradient
is that of first-order perturbation, in which equal eigenvalues do not mix: dv_i = Σ_j v_j (v_jᵀ dG v_i) / (λ_i − λ_j).
The gradient of ``torch.linalg.svd`` would be NaN as soon as two channels are dead.
"""

from __future__ import annotations

import torch
from torch import Tensor

from tutelage.errors import TutelageError
from tutelage.losses.precision import full_precision
from tutelage.losses.shapes import require_maps, require_same_batch, unit_norm

# So many more vectors of the student can be aligned with the teacher's.
SPARE = 3


def kdsvd_loss(student_pair: tuple[Tensor, Tensor], teacher_pair: tuple[Tensor, Tensor], *, k: int = 1) -> Tensor:
    """Return the distance between the relations of two layers' singular vectors in student and teacher.

    Σ_cd (R^s_cd − R^t_cd)² with R_cd = exp(−(v_c − w_d)² / 8), averaged over the batch and summed over k. v and w are
    the leading singular vectors over the channels of the later and the earlier layer, scaled by the teacher's singular
    values (normalized over the k vectors). Of the student's k + 3 leading vectors, the one closest to the teacher's
    counts, whatever its sign. The sign of a teacher's vector is the one with a positive sum.

    Args:
        student_pair: The student's features (B, C, H, W) at the earlier and the later layer.
        teacher_pair: The teacher's features at its earlier and later layer, with the same channels.
        k: Number of singular vectors.

    Returns:
        The loss, a scalar.

    Raises:
        TutelageError: If batch sizes or channels differ, or an input is not four-dimensional.

    Example:
        >>> import torch
        >>> from tutelage.losses import kdsvd_loss
        >>> pair = torch.rand(2, 4, 8, 8), torch.rand(2, 6, 4, 4)
        >>> round(kdsvd_loss(pair, pair).item(), 4)
        0.0
    """
    return kdsvd_match(*student_pair, *[kdsvd_target(features, k=k) for features in teacher_pair])


@full_precision
def kdsvd_target(teacher: Tensor, *, k: int = 1) -> Tensor:
    """Return the teacher's leading singular vectors over the channels of one layer, detached.

    Args:
        teacher: The teacher's features (B, C, H, W).
        k: Number of singular vectors.

    Returns:
        The vectors (B, C, k), of the length of their singular values, which are normalized over k.

    Raises:
        TutelageError: If ``teacher`` is not four-dimensional or ``k`` is not between 1 and its channels and positions.

    Example:
        >>> import torch
        >>> from tutelage.losses import kdsvd_target
        >>> kdsvd_target(torch.ones(1, 4, 2, 2)).flatten()
        tensor([0.5000, 0.5000, 0.5000, 0.5000])
    """
    require_maps(teacher, "kdsvd")
    maps = teacher.detach().flatten(2)
    if not 1 <= k <= min(maps.shape[1:]):
        raise TutelageError(
            f"kdsvd: k = {k} must be between 1 and {min(maps.shape[1:])}, the smaller of channels and positions; the "
            "usual value is 1"
        )
    vectors = _singular_vectors(maps, k)
    values = torch.linalg.vector_norm(maps.mT @ vectors, dim=1)
    signs = torch.where(vectors.sum(1) < 0, -1.0, 1.0).to(vectors.dtype)
    return vectors * (signs * unit_norm(values))[:, None]


@full_precision
def kdsvd_match(a: Tensor, b: Tensor, target_a: Tensor, target_b: Tensor) -> Tensor:
    """Return ``kdsvd_loss`` from the student's features and cached targets.

    Args:
        a: The student's features (B, C_a, H, W) at the earlier layer.
        b: The student's features (B, C_b, H, W) at the later layer.
        target_a: Output of ``kdsvd_target`` for the earlier layer.
        target_b: Output of ``kdsvd_target`` for the later layer, with the same ``k``.

    Returns:
        The loss, a scalar.

    Raises:
        TutelageError: If batch sizes or channels differ, or an input is not four-dimensional.

    Example:
        >>> import torch
        >>> from tutelage.losses import kdsvd_match, kdsvd_target
        >>> a, b = torch.rand(2, 4, 8, 8), torch.rand(2, 6, 4, 4)
        >>> round(kdsvd_match(a, b, kdsvd_target(a), kdsvd_target(b)).item(), 4)
        0.0
    """
    ours = _relations(_aligned(a, target_a), _aligned(b, target_b))
    return (ours - _relations(target_a, target_b)).square().sum() / a.shape[0]


def _relations(a: Tensor, b: Tensor) -> Tensor:
    """Return R (B, C_b, C_a, k) of the vectors (B, C, k) of both layers."""
    return torch.exp(-(b[:, :, None] - a[:, None]).square() / 8)


def _aligned(features: Tensor, target: Tensor) -> Tensor:
    """Return the student's vectors (B, C, k) that are closest to the teacher's, with its signs and lengths."""
    require_maps(features, "kdsvd")
    require_same_batch(features, target, "kdsvd")
    if features.shape[1] != target.shape[1]:
        raise TutelageError(
            f"kdsvd: the student's {features.shape[1]} channels differ from the teacher's {target.shape[1]}; "
            "use layers with equal channels, or add connectors"
        )
    lengths = torch.linalg.vector_norm(target, dim=1)
    vectors = _singular_vectors(features.flatten(2), target.shape[2] + SPARE)
    cosines = vectors.detach().mT @ target
    closest = cosines.abs().argmax(1)
    signs = cosines.gather(1, closest[:, None]).sign()
    chosen = vectors.gather(2, closest[:, None].expand(-1, vectors.shape[1], -1))
    return chosen * signs * lengths[:, None]


def _singular_vectors(maps: Tensor, count: int) -> Tensor:
    """Return the leading singular vectors (B, C, count) over the channels of maps (B, C, N)."""
    channels, positions = maps.shape[1:]
    if channels <= positions:
        return _eigenvectors(maps @ maps.mT, count)
    return unit_norm((maps @ _eigenvectors(maps.mT @ maps, count)).mT).mT


def _eigenvectors(matrices: Tensor, count: int) -> Tensor:
    """Return the leading eigenvectors (B, M, count) of symmetric matrices (B, M, M), with a first-order gradient."""
    values, vectors = (result.flip(-1) for result in torch.linalg.eigh(matrices.detach()))
    leading = vectors[..., :count]
    gaps = values[:, None, :count] - values[:, :, None]
    distinct = gaps.abs() > values.shape[1] * torch.finfo(values.dtype).eps * values[:, :1, None]
    mixing = gaps.masked_fill(~distinct, float("inf")).reciprocal()
    change = matrices - matrices.detach()  # 0, with the gradient of the matrices
    return leading + vectors @ ((vectors.mT @ change @ leading) * mixing)
