"""Activation-boundary (AB) loss: the student's neurons fire where the teacher's do, by a margin.

Heo, Lee, Yun and Choi, "Knowledge Transfer via Distillation of Activation Boundaries Formed by Hidden Neurons",
AAAI 2019, https://arxiv.org/abs/1811.03233.
"""

from __future__ import annotations

import torch
from torch import Tensor

from tutelage.errors import TutelageError
from tutelage.losses.precision import full_precision
from tutelage.losses.shapes import Size, fit_to_target, pool_to, require_maps, smaller_size


def ab_loss(student: Tensor, teacher: Tensor, *, margin: float = 1.0) -> Tensor:
    """Return the squared hinge of the student's pre-ReLU features on the wrong side of the teacher's boundary.

    Σ (s + m)² · 1(s > −m, t ≤ 0) + (s − m)² · 1(s ≤ m, t > 0) over c, h, w, averaged over the batch. The larger map is
    average-pooled to the smaller. The authors' weight is 3·10⁻³ for the deepest tap, halved with each tap away from it.

    Args:
        student: The student's pre-ReLU features (B, C, H, W) after its connector.
        teacher: The teacher's pre-ReLU features (B, C, H, W).
        margin: The margin m, not negative.

    Returns:
        The loss, a scalar. It is 0 if the student has the teacher's signs at a distance of at least m.

    Raises:
        TutelageError: If batch sizes or channels differ, or ``margin`` is negative.

    Example:
        >>> import torch
        >>> from tutelage.losses import ab_loss
        >>> student, teacher = torch.tensor([[[[-2.0, 0.0, 3.0]]]]), torch.tensor([[[[-1.0, 1.0, -1.0]]]])
        >>> ab_loss(student, teacher)  # 0, (0 − 1)² and (3 + 1)²
        tensor(17.)
    """
    require_maps(student, "ab")
    require_maps(teacher, "ab")
    return ab_match(student, ab_target(teacher, smaller_size(student, teacher)), margin=margin)


@full_precision
def ab_target(teacher: Tensor, size: Size | None = None) -> Tensor:
    """Return where the teacher's neurons are active.

    Args:
        teacher: The teacher's pre-ReLU features (B, C, H, W).
        size: Size (H, W) to average-pool larger features to. None keeps their size.

    Returns:
        The target (B, C, H, W), bool.

    Raises:
        TutelageError: If ``teacher`` is not four-dimensional.

    Example:
        >>> import torch
        >>> from tutelage.losses import ab_target
        >>> ab_target(torch.tensor([[[[-1.0, 0.0, 2.0]]]]))
        tensor([[[[False, False,  True]]]])
    """
    require_maps(teacher, "ab")
    return pool_to(teacher.detach(), size) > 0


@full_precision
def ab_match(student: Tensor, target: Tensor, *, margin: float = 1.0) -> Tensor:
    """Return ``ab_loss`` from the student's features and a cached target.

    A student map larger than the target is average-pooled to the target's size.

    Args:
        student: The student's pre-ReLU features (B, C, H, W) after its connector.
        target: Output of ``ab_target``.
        margin: The margin m, not negative.

    Returns:
        The loss, a scalar.

    Raises:
        TutelageError: If batch sizes or channels differ, or ``margin`` is negative.

    Example:
        >>> import torch
        >>> from tutelage.losses import ab_match
        >>> ab_match(torch.tensor([[[[0.5, 0.5]]]]), target=torch.tensor([[[[True, False]]]]))
        tensor(2.5000)
    """
    fitted = fit_to_target(student, target, "ab")
    if margin < 0:
        raise TutelageError(f"ab: margin = {margin} must not be negative; the usual value is 1.0")
    distance = torch.where(target, margin - fitted, margin + fitted)
    return distance.clamp_min(0).square().sum() / student.shape[0]
