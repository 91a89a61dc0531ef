"""Attention transfer: where a network looks, from its activations or from the gradient of its input.

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
    """Q = A / ‖A‖₂ with A = Σ_c abs(F_c)^p, or max_c abs(F_c)^p: (B, C, H, W) → (B, H·W), rows of unit L2 norm.

    p ≥ 1. The mean over channels, as in the authors' code, gives the same map. An all-zero sample gives a zero map.
    Raises TutelageError for other shapes, p < 1 or an unknown ``reduce``.
    """
    require_maps(features, "attention")
    if p < 1:
        raise TutelageError(
            f"attention: p = {p} must be at least 1 (2 is the paper's), below it the gradient is infinite"
        )
    if reduce not in REDUCTIONS:
        raise unknown("attention reduction", reduce, REDUCTIONS)
    # An even power needs no absolute value, and so one pass less over the features.
    powers = features.pow(p) if p % 2 == 0 else features.abs().pow(p)
    attention = powers.sum(1) if reduce == "sum" else powers.amax(1)
    return unit_norm(attention.flatten(1))


def attention_loss(student: Tensor, teacher: Tensor, p: float = 2, form: AttentionForm = "code") -> Tensor:
    """Distance between the attention maps Q_s and Q_t of (B, C, H, W) features; channels may differ.

    ``form``: "code" is the mean over batch and positions of (Q_s − Q_t)² (the authors' code, RepDistiller; weight
    β = 1000); "paper" is ½ ‖Q_s − Q_t‖₂, mean over the batch (weight β as in the paper's equation 2). The larger
    feature is average-pooled to the smaller before its map is taken. Raises TutelageError where the batches differ.
    """
    require_maps(student, "attention")
    require_maps(teacher, "attention")
    size = smaller_size(student, teacher)
    return attention_match(student, attention_target(teacher, size, p), size, p, form=form)


@full_precision
def attention_target(teacher: Tensor, size: Size | None = None, p: float = 2, reduce: Reduce = "sum") -> Tensor:
    """The teacher's attention map (B, H·W), detached; from features pooled to ``size`` = (H, W) if larger."""
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
    """:func:`attention_loss` of the student's features and an :func:`attention_target` of equal size, p, reduce."""
    if form not in FORMS:
        raise unknown("attention form", form, FORMS)
    require_maps(student, "attention")
    attention = attention_map(pool_to(student, size), p, reduce)
    require_same_shape(
        attention, target, "attention map", "give target and match the same `size`, no larger than either feature map"
    )
    if form == "code":
        return F.mse_loss(attention, target)
    return torch.linalg.vector_norm(attention - target, dim=1).mean() / 2


@full_precision
def gradient_attention_loss(student_grad: Tensor, teacher_grad: Tensor) -> Tensor:
    """½ ‖J_s − J_t‖² summed over each sample, mean over the batch; J_t is detached.

    J = ∂(sum of cross entropies over the batch)/∂(image), both with respect to the same un-normalised image, shape
    (B, C, H, W). The sum, not the mean: a sample's J then does not depend on its batch. J_s has to be taken with
    ``create_graph=True`` for this loss to train the student. Raises TutelageError where the shapes differ.
    """
    require_same_shape(student_grad, teacher_grad, "gradient attention", "differentiate both by the same images")
    return F.mse_loss(student_grad, teacher_grad.detach(), reduction="sum") / (2 * student_grad.shape[0])
