"""Helpers of the losses: pooling to a common size, unit vectors and shape checks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from tutelage.errors import TutelageError, unknown

Size = tuple[int, int]
Pool = Literal["avg", "max"]

# Shorter vectors count as zero. torch.nn.functional.normalize uses the same bound.
SHORTEST = 1e-12

_WHOLE_RATIO: dict[str, Callable[..., Tensor]] = {"avg": F.avg_pool2d, "max": F.max_pool2d}
_ANY_RATIO: dict[str, Callable[..., Tensor]] = {"avg": F.adaptive_avg_pool2d, "max": F.adaptive_max_pool2d}


def smaller_size(a: Tensor, b: Tensor) -> Size:
    """Return the smaller height and the smaller width (H, W) of two maps (B, C, H, W)."""
    return min(a.shape[2], b.shape[2]), min(a.shape[3], b.shape[3])


def pool_to(features: Tensor, size: Size | None, pool: Pool = "avg") -> Tensor:
    """Pool feature maps down to ``size``.

    A side that is already as small keeps its size. As in adaptive pooling, output row i of h covers the input rows from
    ⌊i·H/h⌋ up to but not including ⌈(i+1)·H/h⌉.

    Args:
        features: The feature maps (B, C, H, W).
        size: Height and width to pool to. None keeps both.
        pool: "avg" or "max".

    Returns:
        The pooled maps (B, C, h, w).

    Raises:
        TutelageError: If ``pool`` is unknown.

    Example:
        >>> import torch
        >>> from tutelage.losses import pool_to
        >>> pool_to(torch.randn(2, 16, 8, 3), (4, 4)).shape
        torch.Size([2, 16, 4, 3])
    """
    if pool not in _ANY_RATIO:
        raise unknown("pool", pool, _ANY_RATIO)
    if size is None:
        return features
    height, width = features.shape[2:]
    target = (min(size[0], height), min(size[1], width))
    if target == (height, width):
        return features
    if height % target[0] == 0 and width % target[1] == 0:
        # Same result as adaptive pooling, but the backward pass has a deterministic form on CUDA.
        return _WHOLE_RATIO[pool](features, kernel_size=(height // target[0], width // target[1]))
    return _ANY_RATIO[pool](features, target)


def fit_to_target(student: Tensor, target: Tensor, place: str, pool: Pool = "avg") -> Tensor:
    """Return the student's map pooled to the size of the target.

    Raise TutelageError if the shapes still differ.
    """
    require_maps(student, place)
    require_same_batch(student, target, place)
    fitted = pool_to(student, (target.shape[2], target.shape[3]), pool)
    require_same_shape(
        fitted,
        target,
        place,
        "add a connector (a 1×1 convolution) for channels, pass `size` to the target if the student's map is smaller",
    )
    return fitted


def unit_norm(vectors: Tensor) -> Tensor:
    """Scale vectors to unit L2 norm along the last dimension.

    A zero vector stays zero and gets no gradient. ``torch.nn.functional.normalize`` returns the same values, but its
    gradient at a zero vector is about 10¹² times too large, and a dead channel would pass it on to all layers below.
    """
    norm = torch.linalg.vector_norm(vectors, dim=-1, keepdim=True)
    return vectors / norm.masked_fill(norm <= SHORTEST, float("inf"))


def require_maps(features: Tensor, place: str) -> None:
    """Raise TutelageError unless ``features`` is (B, C, H, W)."""
    if features.ndim != 4:
        raise TutelageError(
            f"{place}: expected feature maps (B, C, H, W), got shape {tuple(features.shape)}; "
            "reshape tokens to maps or tap an earlier layer"
        )


def require_embeddings(features: Tensor, place: str) -> None:
    """Raise TutelageError unless ``features`` is (B, D)."""
    if features.ndim != 2:
        raise TutelageError(
            f"{place}: expected embeddings (B, D), got shape {tuple(features.shape)}; "
            "pass the input of the classifier, or average feature maps over their positions"
        )


def require_same_batch(student: Tensor, teacher: Tensor, place: str) -> None:
    """Raise TutelageError unless both tensors hold the same number of samples."""
    if student.shape[0] != teacher.shape[0]:
        raise TutelageError(
            f"{place}: the student's batch has {student.shape[0]} samples and the teacher's has {teacher.shape[0]}; "
            "pass the same images to both networks"
        )


def require_same_shape(student: Tensor, teacher: Tensor, place: str, way_out: str) -> None:
    """Raise TutelageError unless both tensors have the same shape."""
    require_same_batch(student, teacher, place)
    if student.shape != teacher.shape:
        raise TutelageError(
            f"{place}: the student's shape {tuple(student.shape)} differs from the teacher's {tuple(teacher.shape)}; "
            f"{way_out}"
        )
