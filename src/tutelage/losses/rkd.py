"""Relational knowledge distillation (RKD) losses: distances and angles between the samples of a batch.

Park, Kim, Lu and Cho, "Relational Knowledge Distillation", CVPR 2019, https://arxiv.org/abs/1904.05068.

Both parts are computed from one matrix of distances, because an angle follows from three of them by the law of cosines:

    cos ∠jik = (d_ij² + d_ik² − d_jk²) / (2 d_ij d_ik)

The B³ angles are visited in blocks of anchors i and recomputed in the backward pass, so memory does not grow with the
width of the embeddings and grows with B² instead of B³.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from tutelage.losses.precision import full_precision
from tutelage.losses.shapes import require_embeddings, require_same_batch

# The authors' distance between repeated samples. It is above zero, so such pairs count in the mean distance.
CLOSEST = 1e-6

# Angles computed at a time: blocks fit the cache of a CPU, while accelerators need more work per kernel.
BLOCK = {"cpu": 2**18}
BLOCK_OF_ACCELERATORS = 2**23


def rkd_loss(student: Tensor, teacher: Tensor, *, w_d: float = 25.0, w_a: float = 50.0) -> Tensor:
    """Return the difference between the relations of student and teacher within a batch.

    w_d · mean_ij ℓ(d_ij / d̄) + w_a · mean_ijk ℓ(cos ∠jik), where ℓ is the smooth L1 distance (δ = 1) between the values
    of student and teacher, d_ij is the Euclidean distance of samples i and j, and d̄ is its mean over all pairs i ≠ j.
    Widths may differ. The defaults are those of RepDistiller; the authors use 1 and 2 for metric learning.

    Args:
        student: The student's embeddings (B, D_s).
        teacher: The teacher's embeddings (B, D_t).
        w_d: Weight of the distances.
        w_a: Weight of the angles. 0 skips them.

    Returns:
        The loss, a scalar.

    Raises:
        TutelageError: If the batch sizes differ or an input is not two-dimensional.

    Example:
        >>> import torch
        >>> from tutelage.losses import rkd_loss
        >>> embeddings = torch.randn(8, 16)
        >>> rkd_loss(embeddings, embeddings)
        tensor(0.)
    """
    return rkd_match(student, rkd_target(teacher), w_d=w_d, w_a=w_a)


@full_precision
def rkd_target(teacher: Tensor) -> Tensor:
    """Return the teacher's embeddings, detached.

    Relations depend on the batch, so the embeddings are what can be cached.

    Args:
        teacher: The teacher's embeddings (B, D).

    Returns:
        The target (B, D).

    Example:
        >>> import torch
        >>> from tutelage.losses import rkd_target
        >>> rkd_target(torch.randn(2, 16, requires_grad=True)).requires_grad
        False
    """
    return teacher.detach()


@full_precision
def rkd_match(student: Tensor, target: Tensor, *, w_d: float = 25.0, w_a: float = 50.0) -> Tensor:
    """Return ``rkd_loss`` from the student's embeddings and a cached target.

    Args:
        student: The student's embeddings (B, D_s).
        target: Output of ``rkd_target`` (B, D_t).
        w_d: Weight of the distances.
        w_a: Weight of the angles. 0 skips them.

    Returns:
        The loss, a scalar.

    Raises:
        TutelageError: If the batch sizes differ or an input is not two-dimensional.

    Example:
        >>> import torch
        >>> from tutelage.losses import rkd_match, rkd_target
        >>> embeddings = torch.randn(8, 16)
        >>> rkd_match(embeddings, rkd_target(embeddings))
        tensor(0.)
    """
    require_embeddings(student, "rkd")
    require_embeddings(target, "rkd")
    require_same_batch(student, target, "rkd")
    squares_s, squares_t = _squared_distances(student), _squared_distances(target)
    loss = w_d * F.smooth_l1_loss(_scaled_distances(squares_s), _scaled_distances(squares_t))
    return loss + w_a * _angle_difference(squares_s, squares_t) if w_a else loss


def _squared_distances(embeddings: Tensor) -> Tensor:
    """Return ‖e_i − e_j‖² (B, B), exactly 0 for repeated samples.

    Embeddings are centered first, so that the products lose few digits. What they lose would otherwise pass for a
    distance between repeated samples.
    """
    centered = embeddings - embeddings.mean(0)
    products = centered @ centered.mT
    norms = products.diagonal()
    sums = norms[:, None] + norms
    squares = sums - 2 * products
    return squares.masked_fill(squares <= 8 * torch.finfo(squares.dtype).eps * sums, 0)


def _scaled_distances(squares: Tensor) -> Tensor:
    """Return the distances divided by their mean over all pairs of different samples."""
    batch = squares.shape[0]
    itself = torch.eye(batch, dtype=torch.bool, device=squares.device)
    distances = squares.clamp_min(CLOSEST**2).sqrt().masked_fill(itself, 0)
    mean = distances.sum() / max(batch * (batch - 1), 1)
    return distances / mean.clamp_min(CLOSEST)


def _angle_difference(squares_s: Tensor, squares_t: Tensor) -> Tensor:
    """Return the mean smooth L1 distance between the cosines of all B³ angles."""
    batch = squares_s.shape[0]
    step = max(1, BLOCK.get(squares_s.device.type, BLOCK_OF_ACCELERATORS) // batch**2)
    total = squares_s.new_zeros(())
    for start in range(0, batch, step):
        total = total + checkpoint(
            _angle_block, squares_s, squares_t, start, start + step, use_reentrant=False, preserve_rng_state=False
        )
    return total / batch**3


def _angle_block(squares_s: Tensor, squares_t: Tensor, start: int, stop: int) -> Tensor:
    return F.smooth_l1_loss(
        _cosines(squares_s, slice(start, stop)), _cosines(squares_t, slice(start, stop)), reduction="sum"
    )


def _cosines(squares: Tensor, anchors: slice) -> Tensor:
    """Return cos ∠jik (anchors, B, B), 0 where j or k is the anchor i or repeats it."""
    sides = squares[anchors]
    inverse = sides.masked_fill(sides == 0, float("inf")).rsqrt()
    return (sides[:, :, None] + sides[:, None, :] - squares) * (inverse[:, :, None] * inverse[:, None, :] / 2)
