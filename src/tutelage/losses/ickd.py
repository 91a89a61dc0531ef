"""Inter-channel correlation (ICKD) loss: match the correlations between the channels of a feature map.

Liu et al., "Exploring Inter-Channel Correlation for Diversity-Preserved Knowledge Distillation", ICCV 2021,
https://arxiv.org/abs/2202.03680.

With X the flattened map (C, N) of one sample, G = X Xᵀ and unit rows u_i = G_i / ‖G_i‖, the loss is a sum of
‖u_i − v_i‖² = 2 − 2 ⟨u_i, v_i⟩. The inner products of rows of two such matrices are those of the rows of X Xᵀ Y and Y,
and the squared norms those of X Xᵀ X and X, so whichever of C × C and N × N is smaller bounds the memory.
"""

from __future__ import annotations

from torch import Tensor

from tutelage.errors import TutelageError
from tutelage.losses.precision import full_precision
from tutelage.losses.shapes import SHORTEST, require_maps, require_same_batch


def ickd_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """Return the distance between the channel correlations of student and teacher.

    Σ_i ‖u^s_i − u^t_i‖² / C, averaged over the batch, where u_i is row i of the Gram matrix X Xᵀ of the channels of a
    sample, scaled to unit L2 norm. Channels must be equal, sizes may differ. The authors' weight is 2.5 to 4.

    Args:
        student: The student's features (B, C, H_s, W_s), after a 1×1 convolution and batch normalization.
        teacher: The teacher's features (B, C, H_t, W_t).

    Returns:
        The loss, a scalar.

    Raises:
        TutelageError: If batch sizes or channels differ, or an input is not four-dimensional.

    Example:
        >>> import torch
        >>> from tutelage.losses import ickd_loss
        >>> student, teacher = torch.eye(2).view(1, 2, 2, 1), torch.ones(1, 2, 1, 1)
        >>> ickd_loss(student, teacher)  # the student's channels are uncorrelated, the teacher's are the same
        tensor(0.5858)
    """
    return ickd_match(student, ickd_target(teacher))


@full_precision
def ickd_target(teacher: Tensor) -> Tensor:
    """Return the teacher's features, detached.

    Args:
        teacher: The teacher's features (B, C, H, W).

    Returns:
        The target (B, C, H, W).

    Raises:
        TutelageError: If ``teacher`` is not four-dimensional.

    Example:
        >>> import torch
        >>> from tutelage.losses import ickd_target
        >>> ickd_target(torch.randn(2, 8, 4, 4, requires_grad=True)).requires_grad
        False
    """
    require_maps(teacher, "ickd")
    return teacher.detach()


@full_precision
def ickd_match(student: Tensor, target: Tensor) -> Tensor:
    """Return ``ickd_loss`` from the student's features and a cached target.

    Args:
        student: The student's features (B, C, H_s, W_s).
        target: Output of ``ickd_target``.

    Returns:
        The loss, a scalar.

    Raises:
        TutelageError: If batch sizes or channels differ, or an input is not four-dimensional.

    Example:
        >>> import torch
        >>> from tutelage.losses import ickd_match, ickd_target
        >>> features = torch.eye(2).view(1, 2, 2, 1)
        >>> ickd_match(features, ickd_target(features))
        tensor(0.)
    """
    require_maps(student, "ickd")
    require_same_batch(student, target, "ickd")
    if student.shape[1] != target.shape[1]:
        raise TutelageError(
            f"ickd: the student's {student.shape[1]} channels differ from the teacher's {target.shape[1]}; "
            "add a connector (a 1×1 convolution)"
        )
    s, t = student.flatten(2), target.flatten(2)
    square_s, square_t = _row_products(s, s), _row_products(t, t)
    inverse_s, inverse_t = _inverse_root(square_s), _inverse_root(square_t)
    alive = square_s * inverse_s.square() + square_t * inverse_t.square()
    return (alive - 2 * _row_products(s, t) * inverse_s * inverse_t).mean()


def _row_products(x: Tensor, y: Tensor) -> Tensor:
    """Return the inner products (B, C) of the rows of X Xᵀ with those of Y Yᵀ, of maps (B, C, N) and (B, C, M)."""
    channels, positions = x.shape[1:]
    few_channels = channels**2 <= positions * y.shape[2]
    mapped = (x @ x.mT) @ y if few_channels else x @ (x.mT @ y)
    return (mapped * y).sum(2)


def _inverse_root(squares: Tensor) -> Tensor:
    """Return 1/√x, or 0 without gradient where x is the square of a vector that counts as zero."""
    return squares.masked_fill(squares <= SHORTEST**2, float("inf")).rsqrt()
