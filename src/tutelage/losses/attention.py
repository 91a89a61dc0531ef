"""Attention transfer losses, from activations or from the gradient with respect to the input image.

Zagoruyko and Komodakis, "Paying More Attention to Attention", ICLR 2017, https://arxiv.org/abs/1612.03928.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from tutelage.errors import TutelageError, unknown
from tutelage.losses.precision import full_precision
from tutelage.losses.shapes import Size, pool_to, require_maps, require_same_shape, smaller_size, unit_norm

Reduce = Literal["sum", "max"]
AttentionForm = Literal["code", "paper"]
REDUCTIONS = ("sum", "max")
FORMS = ("code", "paper")


@full_precision
def attention_map(features: Tensor, p: float = 2, reduce: Reduce = "sum") -> Tensor:
    """Return the attention map of each sample as a unit vector.

    Q = A / ‖A‖₂ with A = Σ_c abs(F_c)^p or A = max_c abs(F_c)^p. The mean over channels, which the authors' code uses,
    gives the same map as the sum. An all-zero sample gives a zero map.

    Args:
        features: Feature maps (B, C, H, W).
        p: Exponent of the absolute activations, at least 1. The paper uses 2.
        reduce: Reduction over channels, "sum" or "max".

    Returns:
        Attention maps (B, H·W) with rows of unit L2 norm.

    Raises:
        TutelageError: If ``features`` is not four-dimensional, ``p`` is below 1 or ``reduce`` is unknown.

    Example:
        >>> import torch
        >>> from tutelage.losses import attention_map
        >>> attention_map(torch.tensor([[[[1.0, 0.0], [0.0, 1.0]]]]))
        tensor([[0.7071, 0.0000, 0.0000, 0.7071]])
    """
    require_maps(features, "attention")
    if p < 1:
        raise TutelageError(
            f"attention: p = {p} must be at least 1, because the gradient is infinite below; set p=2 as in the paper"
        )
    if reduce not in REDUCTIONS:
        raise unknown("attention reduction", reduce, REDUCTIONS)
    # Even powers need no absolute value, which saves one pass over the features.
    powers = features.pow(p) if p % 2 == 0 else features.abs().pow(p)
    attention = powers.sum(1) if reduce == "sum" else powers.amax(1)
    return unit_norm(attention.flatten(1))


def attention_loss(student: Tensor, teacher: Tensor, p: float = 2, form: AttentionForm = "code") -> Tensor:
    """Return the distance between the attention maps of student and teacher.

    The larger feature map is average-pooled to the size of the smaller one. Channels may differ.

    Args:
        student: The student's features (B, C_s, H_s, W_s).
        teacher: The teacher's features (B, C_t, H_t, W_t).
        p: Exponent of ``attention_map``.
        form: "code" is the mean of (Q_s − Q_t)² over batch and positions, as in the authors' code and RepDistiller
            (weight β = 1000). "paper" is ½ ‖Q_s − Q_t‖₂ averaged over the batch (weight β of the paper's equation 2).

    Returns:
        The loss, a scalar.

    Raises:
        TutelageError: If the batch sizes differ, an input is not four-dimensional, or ``p`` or ``form`` is invalid.

    Example:
        >>> import torch
        >>> from tutelage.losses import attention_loss
        >>> maps = torch.ones(2, 8, 4, 4)
        >>> attention_loss(student=maps, teacher=2 * maps)  # attention maps are normalized
        tensor(0.)
    """
    require_maps(student, "attention")
    require_maps(teacher, "attention")
    size = smaller_size(student, teacher)
    return attention_match(student, attention_target(teacher, size, p), size, p, form=form)


@full_precision
def attention_target(teacher: Tensor, size: Size | None = None, p: float = 2, reduce: Reduce = "sum") -> Tensor:
    """Return the teacher's attention map, detached.

    Args:
        teacher: The teacher's features (B, C, H, W).
        size: Size (H, W) to average-pool larger features to. None keeps their size.
        p: Exponent of ``attention_map``.
        reduce: Reduction over channels, "sum" or "max".

    Returns:
        Attention maps (B, H·W) with rows of unit L2 norm.

    Example:
        >>> import torch
        >>> from tutelage.losses import attention_target
        >>> attention_target(torch.randn(2, 8, 8, 8), size=(4, 4)).shape
        torch.Size([2, 16])
    """
    require_maps(teacher, "attention")
    return attention_map(pool_to(teacher.detach(), size), p, reduce)


@full_precision
def attention_match(
    student: Tensor,
    target: Tensor,
    size: Size | None = None,
    p: float = 2,
    reduce: Reduce = "sum",
    form: AttentionForm = "code",
) -> Tensor:
    """Return ``attention_loss`` from the student's features and a cached target.

    Args:
        student: The student's features (B, C, H, W).
        target: Output of ``attention_target`` with the same ``size``, ``p`` and ``reduce``.
        size: Size (H, W) to average-pool larger features to. None keeps their size.
        p: Exponent of ``attention_map``.
        reduce: Reduction over channels, "sum" or "max".
        form: "code" or "paper", see ``attention_loss``.

    Returns:
        The loss, a scalar.

    Raises:
        TutelageError: If the shapes of the maps differ or an option is invalid.

    Example:
        >>> import torch
        >>> from tutelage.losses import attention_match, attention_target
        >>> features = torch.randn(2, 8, 4, 4)
        >>> attention_match(features, attention_target(features))
        tensor(0.)
    """
    if form not in FORMS:
        raise unknown("attention form", form, FORMS)
    require_maps(student, "attention")
    attention = attention_map(pool_to(student, size), p, reduce)
    require_same_shape(
        attention, target, "attention map", "pass the same `size` to target and match, no larger than either map"
    )
    if form == "code":
        return F.mse_loss(attention, target)
    return torch.linalg.vector_norm(attention - target, dim=1).mean() / 2


@full_precision
def gradient_attention_loss(student_grad: Tensor, teacher_grad: Tensor) -> Tensor:
    """Return the squared distance between the input gradients of student and teacher.

    ½ ‖J_s − J_t‖² summed over each sample and averaged over the batch, where J is the gradient of the batch's summed
    cross-entropy with respect to the image. Use the sum, not the mean, so that a sample's gradient does not depend on
    its batch. The loss trains the student only if J_s was computed with ``create_graph=True``.

    Args:
        student_grad: The student's gradient J_s (B, C, H, W) with respect to the unnormalized image.
        teacher_grad: The teacher's gradient J_t with respect to the same image. It is detached.

    Returns:
        The loss, a scalar.

    Raises:
        TutelageError: If the shapes differ.

    Example:
        >>> import torch
        >>> from tutelage.losses import gradient_attention_loss
        >>> gradient_attention_loss(torch.ones(2, 3, 1, 1), torch.zeros(2, 3, 1, 1))
        tensor(1.5000)
    """
    require_same_shape(
        student_grad,
        teacher_grad,
        "gradient attention",
        "differentiate both networks with respect to the same images",
    )
    return F.mse_loss(student_grad, teacher_grad.detach(), reduction="sum") / (2 * student_grad.shape[0])
