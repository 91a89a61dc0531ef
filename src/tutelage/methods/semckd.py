"""Cross-layer distillation with semantic calibration (SemCKD)."""

from __future__ import annotations

from typing import ClassVar

import torch.nn as nn
from pydantic import Field
from torch import Tensor

from tutelage.connectors import SemCKDConnector
from tutelage.losses import semckd_loss
from tutelage.methods.base import METHODS, Group, Method, Pair
from tutelage.terms import Stage, Term


@METHODS.register("semckd")
class SemCKD(Method):
    """Semantic calibration: CE + β · Σ_i Σ_j a_ij · mean (r_ij(F_s,i) − F_t,j)² / I, over all pairs of levels.

    r_ij maps the student's level i to the channels of the teacher's level j (1×1, 3×3 and 1×1 convolution). a_ij is a
    softmax over j of products of two unit vectors, which small networks compute from each sample's dot products with
    all samples of the batch. Chen et al., "Cross-Layer Distillation with Semantic Calibration", AAAI 2021
    (arXiv:2012.03236).

    * The default β = 400 is that of the authors' code, which adds KL; set ``method=kd+semckd kd.weight=1 kd.ce=1`` for
      the same.
    * The batch size is a size of weights, as in the authors' code. Several processes join their batches.

    Example:
        >>> SemCKD(factor=8).weight
        400.0
    """

    group: ClassVar[Group] = "maps"
    matches: ClassVar[str] = "maps, paired by attention"

    weight: float = Field(400.0, ge=0, description="β")
    factor: int = Field(4, ge=1, description="reduction from the batch size to the length of the unit vectors")
    student_taps: tuple[str, ...] | None = Field(None, description="the student's maps; all levels where not given")
    teacher_taps: tuple[str, ...] | None = Field(None, description="the teacher's maps; all levels where not given")

    def stages(self, pair: Pair) -> list[Stage]:
        """Return one stage with one term."""
        assert pair.teacher is not None
        ours = self.student_taps or tuple(level.name for level in pair.student.levels)
        theirs = self.teacher_taps or tuple(level.name for level in pair.teacher.levels)
        students = [pair.shapes(theirs[0], tap)[1] for tap in ours]
        teachers = [pair.shapes(tap, ours[0])[0] for tap in theirs]
        connector = SemCKDConnector(students, teachers, pair.known_batch_size("semckd"), self.factor)
        term = Term("semckd", self.weight, ours, theirs, _target, Calibrated(connector), relational=True)
        return [Stage("train", pair.epochs, (term,))]


class Calibrated(nn.Module):
    """The SemCKD loss, with its connector: attention needs the maps of both networks, and of the whole batch."""

    def __init__(self, connector: SemCKDConnector) -> None:
        super().__init__()
        self.connector = connector

    def forward(self, *features: Tensor | tuple[Tensor, ...]) -> Tensor:
        *students, teachers = features
        projected, attention = self.connector(students, teachers)
        return semckd_loss(projected, teachers, attention)  # type: ignore[arg-type]


def _target(*maps: Tensor) -> tuple[Tensor, ...]:
    return maps
