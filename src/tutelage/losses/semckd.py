"""SemCKD losses: every layer of the student against every layer of the teacher, weighted by attention.

Chen et al., "Cross-Layer Distillation with Semantic Calibration", AAAI 2021, https://arxiv.org/abs/2012.03236.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from tutelage.errors import TutelageError
from tutelage.losses.precision import full_precision
from tutelage.losses.shapes import fit_to_target, pool_to, require_maps, smaller_size


def semckd_loss(students: Sequence[Sequence[Tensor]], teachers: Sequence[Tensor], attention: Tensor) -> Tensor:
    """Return the mean squared errors of all pairs of layers, weighted by attention.

    Σ_i Σ_j a_ij · mean (S_ij − T_j)² / I for I layers of the student, averaged over the batch. S_ij is layer i of the
    student, mapped to the channels of layer j of the teacher. The larger map is average-pooled to the smaller. The
    published weight is 400.

    Args:
        students: The student's maps (B, C_j, H, W), by the student's layer i and the teacher's layer j.
        teachers: The teacher's maps (B, C_j, H_j, W_j). They are detached, so cached maps serve as well.
        attention: Weights (B, I, J) that sum to 1 over j, with the maps the output of ``SemCKDConnector``. They are not
            detached.

    Returns:
        The loss, a scalar.

    Raises:
        TutelageError: If batch sizes, channels or the numbers of layers differ.

    Example:
        >>> import torch
        >>> from tutelage.losses import semckd_loss
        >>> teachers = [torch.zeros(2, 16, 8, 8), torch.zeros(2, 32, 4, 4)]
        >>> students = [[torch.ones_like(teacher) for teacher in teachers]]
        >>> semckd_loss(students, teachers, torch.tensor([[[0.75, 0.25]]]).expand(2, 1, 2))
        tensor(1.)
    """
    if attention.shape[1:] != (len(students), len(teachers)):
        raise TutelageError(
            f"semckd: attention of shape {tuple(attention.shape)} for {len(students)} layers of the student and "
            f"{len(teachers)} of the teacher; pass both outputs of `SemCKDConnector`"
        )
    terms = [
        _weighted_error(student, teacher, attention[:, i, j])
        for i, projected in enumerate(students)
        for j, (student, teacher) in enumerate(zip(projected, teachers, strict=True))
    ]
    return torch.stack(terms).sum() / len(students)


@full_precision
def _weighted_error(student: Tensor, teacher: Tensor, weight: Tensor) -> Tensor:
    require_maps(student, "semckd")
    require_maps(teacher, "semckd")
    target = pool_to(teacher.detach(), smaller_size(student, teacher))
    errors = (fit_to_target(student, target, "semckd") - target).square().mean((1, 2, 3))
    return (weight * errors).mean()
