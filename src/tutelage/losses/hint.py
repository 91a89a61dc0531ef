"""Hint losses: the student's features regress the teacher's.

Romero et al., "FitNets: Hints for Thin Deep Nets", ICLR 2015, https://arxiv.org/abs/1412.6550.
"""

from __future__ import annotations

from typing import Literal

import torch.nn.functional as F
from torch import Tensor

from tutelage.errors import unknown
from tutelage.losses.precision import full_precision
from tutelage.losses.shapes import Size, pool_to, require_same_batch, require_same_shape, smaller_size, unit_norm

HintForm = Literal["mean", "paper", "normalized"]
FORMS = ("mean", "paper", "normalized")


def hint_loss(student: Tensor, teacher: Tensor, form: HintForm = "mean") -> Tensor:
    """Return the squared distance between the features of student and teacher.

    Features are maps (B, C, H, W) or tensors (B, …) of equal shape. The larger map is average-pooled to the smaller.
    Features with different channels need a connector on the student's side.

    Args:
        student: The student's features.
        teacher: The teacher's features.
        form: "mean" is the mean squared error over all elements (RepDistiller, weight 100). "paper" is
            ½ Σ (F_s − F_t)² over c, h, w, averaged over the batch (FitNets, weight 1). "normalized" scales each
            flattened sample to unit L2 norm and sums the squared differences, averaged over the batch (mmrazor, weight
            10; range 0 to 4).

    Returns:
        The loss, a scalar.

    Raises:
        TutelageError: If batch sizes or channels differ, or ``form`` is unknown.

    Example:
        >>> import torch
        >>> from tutelage.losses import hint_loss
        >>> hint_loss(torch.ones(2, 16, 8, 8), torch.zeros(2, 16, 4, 4))
        tensor(1.)
    """
    size = smaller_size(student, teacher) if student.ndim == teacher.ndim == 4 else None
    return hint_match(student, hint_target(teacher, size, form), form)


@full_precision
def hint_target(teacher: Tensor, size: Size | None = None, form: HintForm = "mean") -> Tensor:
    """Return the teacher's features, detached and pooled.

    "mean" and "paper" share the same target. A "normalized" target only fits the form "normalized".

    Args:
        teacher: The teacher's features, (B, C, H, W) or any shape (B, …).
        size: Size (H, W) to average-pool larger maps to. None keeps their size.
        form: The form of ``hint_loss``. "normalized" scales each sample to unit L2 norm and keeps its shape.

    Returns:
        The target, (B, C, H, W) or the shape of ``teacher``.

    Raises:
        TutelageError: If ``form`` is unknown.

    Example:
        >>> import torch
        >>> from tutelage.losses import hint_target
        >>> hint_target(torch.randn(2, 16, 8, 8), size=(4, 4)).shape
        torch.Size([2, 16, 4, 4])
    """
    _require_form(form)
    target = teacher.detach()
    target = pool_to(target, size) if target.ndim == 4 else target
    return unit_norm(target.flatten(1)).view_as(target) if form == "normalized" else target


@full_precision
def hint_match(student: Tensor, target: Tensor, form: HintForm = "mean") -> Tensor:
    """Return ``hint_loss`` from the student's features and a cached target.

    A student map larger than the target is average-pooled to the target's size.

    Args:
        student: The student's features, (B, C, H, W) or any shape (B, …).
        target: Output of ``hint_target`` with the same ``form``.
        form: "mean", "paper" or "normalized", see ``hint_loss``.

    Returns:
        The loss, a scalar.

    Raises:
        TutelageError: If batch sizes or channels differ, the student's map is smaller than the target, or ``form`` is
            unknown.

    Example:
        >>> import torch
        >>> from tutelage.losses import hint_match, hint_target
        >>> target = hint_target(torch.zeros(2, 16, 4, 4))
        >>> hint_match(torch.ones(2, 16, 4, 4), target, form="mean")
        tensor(1.)
    """
    _require_form(form)
    require_same_batch(student, target, "hint")
    if student.ndim == target.ndim == 4:
        student = pool_to(student, (target.shape[2], target.shape[3]))
    require_same_shape(
        student,
        target,
        "hint",
        "add a connector (a 1×1 convolution) for channels, pass `size` to the target if the student's map is smaller",
    )
    if form == "mean":
        return F.mse_loss(student, target)
    if form == "paper":
        return F.mse_loss(student, target, reduction="sum") / (2 * student.shape[0])
    return F.mse_loss(unit_norm(student.flatten(1)), target.flatten(1), reduction="sum") / student.shape[0]


def _require_form(form: str) -> None:
    if form not in FORMS:
        raise unknown("hint form", form, FORMS)
