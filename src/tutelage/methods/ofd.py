"""Overhaul of feature distillation (OFD)."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch.nn as nn
from pydantic import Field
from torch import Tensor

from tutelage.connectors import ofd_connector
from tutelage.losses import ofd_margin, ofd_match, ofd_measured_margin, ofd_target
from tutelage.methods.base import METHODS, Group, Method, Pair
from tutelage.taps import norm_before
from tutelage.terms import Stage, Term


@METHODS.register("ofd")
class OFD(Method):
    """Overhaul of feature distillation: CE + (1/W)·Σ_i 2^−(L−1−i)·d(r(F_s), max(F_t, m)), features before the ReLU.

    Heo et al., "A Comprehensive Overhaul of Feature Distillation", ICCV 2019 (arXiv:1904.01866).

    * d is the squared distance summed over c, h, w and averaged over the batch. Elements with student ≤ target ≤ 0
      count as zero.
    * The margin m of a channel is the mean of the negative outputs of its batch normalization, E[x | x < 0]. Without
      batch normalization, it is measured on each batch.
    * r is a 1×1 convolution with batch normalization.
    * The teacher normalizes by batch statistics, as in the authors' code; its buffers do not change.
    * W is 1000 for CIFAR and 10000 for ImageNet. The authors' CIFAR code also resets the optimizer at half and three
      quarters of the run; set ``schedule.restart`` to do so.

    Example:
        >>> OFD(divisor=10000).teacher_mode
        'batch'
    """

    group: ClassVar[Group] = "maps"
    matches: ClassVar[str] = "maps before activation"

    divisor: float = Field(1000.0, gt=0, description="W: 1000 for CIFAR, 10000 for ImageNet")
    layer_decay: float = Field(0.5, gt=0, le=1, description="factor of a pair's loss relative to the next deeper pair")
    teacher_mode: Literal["batch", "eval"] = Field("batch", description="statistics that the teacher normalizes with")
    taps: dict[str, str] | None = Field(
        None, description="teacher tap: student tap; null: the paired levels, before their activations"
    )

    def stages(self, pair: Pair) -> list[Stage]:
        """Return one stage with a term for each pair of taps."""
        pairs = pair.taps(self.taps, "ofd")
        if self.taps is None:
            pairs = pair.before_activation(pairs)
        weights = [self.layer_decay**deeper / self.divisor for deeper in reversed(range(len(pairs)))]
        terms = tuple(self._term(pair, weight, *taps) for weight, taps in zip(weights, pairs))
        return [Stage("train", pair.epochs, terms, teacher_mode=self.teacher_mode)]

    def _term(self, pair: Pair, weight: float, teacher_tap: str, student_tap: str) -> Term:
        assert pair.teacher is not None
        teacher, student = pair.shapes(teacher_tap, student_tap)
        norm = norm_before(pair.teacher.model, teacher_tap)
        return Term(
            f"ofd.{student_tap}",
            weight,
            (student_tap,),
            (teacher_tap,),
            MarginTarget(norm, pair.common_size(teacher_tap, student_tap)),
            ofd_match,
            ofd_connector(student[0], teacher[0]),
        )


class MarginTarget(nn.Module):
    """Target max(F_t, m) of the teacher's features, with m from the batch normalization before the tap or the batch."""

    margin: Tensor | None

    def __init__(self, norm: nn.BatchNorm2d | None, size: tuple[int, int]) -> None:
        super().__init__()
        self.size = size
        self.register_buffer("margin", None if norm is None else ofd_margin(norm.weight, norm.bias))

    def forward(self, features: Tensor) -> Tensor:
        margin = ofd_measured_margin(features) if self.margin is None else self.margin
        return ofd_target(features, margin, self.size)
