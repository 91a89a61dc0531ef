"""ReviewKD losses: the hierarchical context loss (HCL) of fused maps.

Chen, Liu, Zhao and Jia, "Distilling Knowledge via Knowledge Review", CVPR 2021, https://arxiv.org/abs/2104.09044.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from tutelage.errors import TutelageError
from tutelage.losses.precision import full_precision
from tutelage.losses.shapes import pool_to, require_maps, require_same_shape

SIDES = (4, 2, 1)


def reviewkd_loss(students: Sequence[Tensor], teachers: Sequence[Tensor]) -> Tensor:
    """Return the sum of ``hcl_loss`` over levels.

    The usual setting is the cross-entropy plus min(1, epoch / 20) · w times this loss, with w from 0.6 to 8 by pair of
    networks.

    Args:
        students: The student's fused maps, the output of ``ReviewKDConnector``.
        teachers: The teacher's maps, in the same order and of the same shapes. They are detached, so cached maps serve
            as well.

    Returns:
        The loss, a scalar.

    Raises:
        TutelageError: If the numbers of levels or the shapes differ.

    Example:
        >>> import torch
        >>> from tutelage.losses import reviewkd_loss
        >>> ones = [torch.ones(2, 16, 8, 8), torch.ones(2, 32, 4, 4)]
        >>> reviewkd_loss(ones, [3 * maps for maps in ones])
        tensor(8.)
    """
    if len(students) != len(teachers):
        raise TutelageError(
            f"reviewkd: {len(students)} levels of the student and {len(teachers)} of the teacher; "
            "tap as many levels of both networks"
        )
    return torch.stack([hcl_loss(student, teacher) for student, teacher in zip(students, teachers)]).sum()


@full_precision
def hcl_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """Return the hierarchical context loss of two maps: their mean squared error at several resolutions.

    (MSE + ½ MSE₄ + ¼ MSE₂ + ⅛ MSE₁) / (1 + ½ + ¼ + ⅛), where MSE_l compares the maps average-pooled to l×l. Resolutions
    that are not smaller than the map are left out, and the weights ½, ¼, … go to those that remain. The official code
    only looks at the height; this function looks at the longer side, so that a transposed map has the same loss.

    Args:
        student: The student's fused map (B, C, H, W).
        teacher: The teacher's map (B, C, H, W), detached.

    Returns:
        The loss, a scalar.

    Raises:
        TutelageError: If the shapes differ.

    Example:
        >>> import torch
        >>> from tutelage.losses import hcl_loss
        >>> hcl_loss(torch.tensor([[[[2.0, -2.0]]]]), torch.zeros(1, 1, 1, 2))
        tensor(2.6667)
    """
    require_maps(student, "reviewkd")
    require_same_shape(student, teacher, "reviewkd", "fuse the student's maps with `ReviewKDConnector` first")
    teacher = teacher.detach()
    total, weights, weight = F.mse_loss(student, teacher), 1.0, 1.0
    for side in SIDES:
        if side < max(student.shape[2:]):
            weight /= 2
            weights += weight
            ours, theirs = pool_to(student, (side, side)), pool_to(teacher, (side, side))
            total = total + weight * F.mse_loss(ours, theirs)
            if all(length % side == 0 for length in student.shape[2:]):
                student, teacher = ours, theirs  # equal windows: the next means are means of these
    return total / weights
