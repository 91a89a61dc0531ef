"""NORM losses: many representations of the student, each matched to the same teacher map.

Liu et al., "NORM: Knowledge Distillation via N-to-One Representation Matching", ICLR 2023,
https://arxiv.org/abs/2305.13803.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from tutelage.errors import TutelageError
from tutelage.losses.precision import full_precision
from tutelage.losses.shapes import Size, pool_to, require_maps, require_same_batch, require_same_shape, smaller_size

EPSILON = 1e-7


def norm_logits(logits: Tensor, *, scale: float = 2.5) -> Tensor:
    """Return logits normalized over the classes and scaled, as the cross-entropy and KD terms of NORM read them.

    scale · (z − mean) / √(var + 10⁻⁷), with the mean and the biased variance over the classes. The order of the classes
    stays, so the predicted class does not change; the confidence does. Unlike losses, the result has the precision of
    the logits, because networks compute it too.

    Args:
        logits: The logits (B, K).
        scale: The factor after normalization. The authors use 2.5.

    Returns:
        The normalized logits (B, K).

    Example:
        >>> import torch
        >>> from tutelage.losses import norm_logits
        >>> norm_logits(torch.tensor([[-4.0, 4.0]]))
        tensor([[-2.5000,  2.5000]])
    """
    return scale * F.layer_norm(logits, logits.shape[1:], eps=EPSILON)


def norm_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """Return the sum over N representations of their mean squared error to the teacher's map.

    Σ_n mean (S_n − T)², where the student's expanded map is N maps with the teacher's channels, one after the other.
    The larger map is max-pooled to the smaller. The authors' weight changes in steps over training.

    Args:
        student: The student's expanded map (B, N·C, H, W) from ``models.NormExpansion``.
        teacher: The teacher's last map (B, C, H, W).

    Returns:
        The loss, a scalar.

    Raises:
        TutelageError: If batch sizes differ, or the student's channels are not a multiple of the teacher's.

    Example:
        >>> import torch
        >>> from tutelage.losses import norm_loss
        >>> norm_loss(torch.zeros(2, 8 * 16, 4, 4), torch.ones(2, 16, 4, 4))
        tensor(8.)
    """
    require_maps(student, "norm")
    require_maps(teacher, "norm")
    return norm_match(student, norm_target(teacher, smaller_size(student, teacher)))


@full_precision
def norm_target(teacher: Tensor, size: Size | None = None) -> Tensor:
    """Return the teacher's map, detached and max-pooled.

    Args:
        teacher: The teacher's last map (B, C, H, W).
        size: Size (H, W) to max-pool a larger map to. None keeps its size.

    Returns:
        The target (B, C, H, W).

    Example:
        >>> import torch
        >>> from tutelage.losses import norm_target
        >>> norm_target(torch.randn(2, 16, 8, 8), size=(4, 4)).shape
        torch.Size([2, 16, 4, 4])
    """
    require_maps(teacher, "norm")
    return pool_to(teacher.detach(), size, "max")


@full_precision
def norm_match(student: Tensor, target: Tensor) -> Tensor:
    """Return ``norm_loss`` from the student's expanded map and a cached target.

    A student map larger than the target is max-pooled to the target's size.

    Args:
        student: The student's expanded map (B, N·C, H, W) from ``models.NormExpansion``.
        target: Output of ``norm_target``.

    Returns:
        The loss, a scalar.

    Raises:
        TutelageError: If batch sizes differ, or the student's channels are not a multiple of the teacher's.

    Example:
        >>> import torch
        >>> from tutelage.losses import norm_match
        >>> norm_match(torch.zeros(2, 32, 4, 4), target=torch.ones(2, 16, 4, 4))
        tensor(2.)
    """
    require_maps(student, "norm")
    require_same_batch(student, target, "norm")
    if student.shape[1] % target.shape[1]:
        raise TutelageError(
            f"norm: the student's {student.shape[1]} channels are not a multiple of the teacher's {target.shape[1]}; "
            "expand the student's map with `models.NormExpansion` first"
        )
    pooled = pool_to(student, (target.shape[2], target.shape[3]), "max")
    representations = pooled.unflatten(1, (-1, target.shape[1]))
    repeated = target[:, None].expand(-1, representations.shape[1], -1, -1, -1)
    require_same_shape(representations, repeated, "norm", "pass `size` to the target if the student's map is smaller")
    return F.mse_loss(representations, repeated) * representations.shape[1]
