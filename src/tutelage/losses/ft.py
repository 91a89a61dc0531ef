"""Factor transfer (FT) losses: match what a paraphraser makes of the teacher and a translator of the student.

Kim, Park and Kwak, "Paraphrasing Complex Network: Network Compression via Factor Transfer", NeurIPS 2018,
https://arxiv.org/abs/1802.04977.
"""

from __future__ import annotations

from typing import Literal

import torch.nn.functional as F
from torch import Tensor

from tutelage.errors import unknown
from tutelage.losses.attention import attention_map
from tutelage.losses.precision import full_precision
from tutelage.losses.shapes import Size, pool_to, require_maps, require_same_shape, smaller_size, unit_norm

FTForm = Literal["paper", "repdistiller"]
FORMS = ("paper", "repdistiller")


@full_precision
def ft_paraphraser_loss(reconstruction: Tensor, teacher: Tensor) -> Tensor:
    """Return the mean absolute difference between the teacher's features and their reconstruction.

    It trains the paraphraser before the student.

    Args:
        reconstruction: Output of ``Paraphraser.reconstruct`` (B, C, H, W).
        teacher: The teacher's features (B, C, H, W).

    Returns:
        The loss, a scalar.

    Raises:
        TutelageError: If the shapes differ.

    Example:
        >>> import torch
        >>> from tutelage.losses import ft_paraphraser_loss
        >>> ft_paraphraser_loss(torch.ones(2, 8, 4, 4), torch.zeros(2, 8, 4, 4))
        tensor(1.)
    """
    require_same_shape(reconstruction, teacher, "ft paraphraser", "pass the features that were reconstructed")
    return F.l1_loss(reconstruction, teacher.detach())


def ft_loss(student: Tensor, teacher: Tensor, *, form: FTForm = "paper") -> Tensor:
    """Return the distance between the normalized factors of student and teacher.

    The mean absolute difference of unit vectors. The larger factor is average-pooled to the size of the smaller.

    Args:
        student: The student's factor (B, F, H, W), the output of a ``Translator``.
        teacher: The teacher's factor (B, F, H, W), the output of a trained ``Paraphraser``.
        form: "paper" flattens the factors, as in the authors' code (weight 500). "repdistiller" takes their attention
            maps, the mean of the squares over channels (weight 200).

    Returns:
        The loss, a scalar.

    Raises:
        TutelageError: If the shapes do not fit, an input is not four-dimensional or ``form`` is unknown.

    Example:
        >>> import torch
        >>> from tutelage.losses import ft_loss
        >>> factor = torch.randn(2, 8, 4, 4)
        >>> ft_loss(factor, -factor, form="repdistiller")
        tensor(0.)
    """
    require_maps(student, "ft")
    require_maps(teacher, "ft")
    size = smaller_size(student, teacher)
    return ft_match(student, ft_target(teacher, size, form=form), size, form=form)


@full_precision
def ft_target(teacher: Tensor, size: Size | None = None, *, form: FTForm = "paper") -> Tensor:
    """Return the teacher's factor as unit vectors, detached.

    Args:
        teacher: The teacher's factor (B, F, H, W).
        size: Size (H, W) to average-pool larger factors to. None keeps their size.
        form: "paper" or "repdistiller", see ``ft_loss``.

    Returns:
        Unit vectors (B, F·H·W), or (B, H·W) for "repdistiller".

    Raises:
        TutelageError: If ``teacher`` is not four-dimensional or ``form`` is unknown.

    Example:
        >>> import torch
        >>> from tutelage.losses import ft_target
        >>> ft_target(torch.randn(2, 8, 4, 4), size=(2, 2)).shape
        torch.Size([2, 32])
    """
    return _directions(teacher.detach(), size, form)


@full_precision
def ft_match(student: Tensor, target: Tensor, size: Size | None = None, *, form: FTForm = "paper") -> Tensor:
    """Return ``ft_loss`` from the student's factor and a cached target.

    Args:
        student: The student's factor (B, F, H, W).
        target: Output of ``ft_target`` with the same ``size`` and ``form``.
        size: Size (H, W) to average-pool larger factors to. None keeps their size.
        form: "paper" or "repdistiller", see ``ft_loss``.

    Returns:
        The loss, a scalar.

    Raises:
        TutelageError: If the shapes do not fit, ``student`` is not four-dimensional or ``form`` is unknown.

    Example:
        >>> import torch
        >>> from tutelage.losses import ft_match, ft_target
        >>> factor = torch.randn(2, 8, 4, 4)
        >>> ft_match(factor, ft_target(factor))
        tensor(0.)
    """
    directions = _directions(student, size, form)
    require_same_shape(
        directions,
        target,
        "ft factor",
        "pass the same `size` to both halves, and translate to the teacher's channels",
    )
    return F.l1_loss(directions, target)


def _directions(factor: Tensor, size: Size | None, form: str) -> Tensor:
    if form not in FORMS:
        raise unknown("ft form", form, FORMS)
    require_maps(factor, "ft")
    pooled = pool_to(factor, size)
    return unit_norm(pooled.flatten(1)) if form == "paper" else attention_map(pooled)
