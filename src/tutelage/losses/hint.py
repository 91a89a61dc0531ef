"""Hints: the student's features regress the teacher's.

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
    """Squared distance between the student's (connected) features and the teacher's.

    ``form``: "mean" is the mean squared error over all elements (RepDistiller, weight 100); "paper" is
    ½ Σ (F_s − F_t)² over c, h, w, mean over the batch (FitNets, weight 1); "normalized" flattens each sample, scales
    it to unit L2 norm and sums the squared differences, mean over the batch (mmrazor, weight 10; range 0 to 4).

    Features are (B, C, H, W), the larger one average-pooled to the smaller, or any equal shape (B, …).
    Raises TutelageError where batch or channels differ, or the form is unknown.
    """
    size = smaller_size(student, teacher) if student.ndim == teacher.ndim == 4 else None
    return hint_match(student, hint_target(teacher, size, form), form)


@full_precision
def hint_target(teacher: Tensor, size: Size | None = None, form: HintForm = "mean") -> Tensor:
    """The teacher's features, detached, average-pooled to ``size`` = (H, W) where they are larger.

    In form "normalized" each sample of the result has unit L2 norm (its shape is kept), so a target belongs to the
    form it was made for; "mean" and "paper" share theirs.
    """
    _require_form(form)
    target = teacher.detach()
    target = pool_to(target, size) if target.ndim == 4 else target
    return unit_norm(target.flatten(1)).view_as(target) if form == "normalized" else target


@full_precision
def hint_match(student: Tensor, target: Tensor, form: HintForm = "mean") -> Tensor:
    """:func:`hint_loss` of the student's features and a :func:`hint_target` of the same form.

    The student's map is average-pooled to the target's size where it is larger.
    """
    _require_form(form)
    require_same_batch(student, target, "hint")
    if student.ndim == target.ndim == 4:
        student = pool_to(student, (target.shape[2], target.shape[3]))
    require_same_shape(
        student,
        target,
        "hint",
        "channels need a connector (a 1×1 convolution); a smaller map needs `size` in the target",
    )
    if form == "mean":
        return F.mse_loss(student, target)
    if form == "paper":
        return F.mse_loss(student, target, reduction="sum") / (2 * student.shape[0])
    return F.mse_loss(unit_norm(student.flatten(1)), target.flatten(1), reduction="sum") / student.shape[0]


def _require_form(form: str) -> None:
    if form not in FORMS:
        raise unknown("hint form", form, FORMS)
