"""Variational information distillation (VID)."""

from __future__ import annotations

from functools import partial
from typing import ClassVar

from pydantic import Field
from torch import Tensor

from tutelage.connectors import VIDRegressor
from tutelage.losses import vid_match, vid_target
from tutelage.methods.base import METHODS, Group, Method, Pair
from tutelage.terms import Kept, Stage, Term


@METHODS.register("vid")
class VID(Method):
    """Variational information distillation: CE + w·Σ_levels mean ½((μ(F_s) − F_t)² / σ² + log σ²).

    μ is a network of three 1×1 convolutions and σ²_c = softplus(ρ_c) + 10⁻⁵ a learned variance per channel, both
    trained with the student. Ahn et al., "Variational Information Distillation for Knowledge Transfer", CVPR 2019
    (arXiv:1904.05835). The larger map of a pair is average-pooled to the smaller.

    The defaults are those of RepDistiller. mdistiller never trains ρ, which its optimizer does not see.

    Example:
        >>> VID(variance=1).weight
        1.0
    """

    group: ClassVar[Group] = "maps"
    matches: ClassVar[str] = "maps with variances"

    weight: float = Field(1.0, ge=0, description="w, the factor of each pair's loss")
    variance: float = Field(5.0, gt=1e-5, description="σ² at the start")
    taps: dict[str, str] | None = Field(None, description="teacher tap: student tap; paired levels where not given")

    def stages(self, pair: Pair) -> list[Stage]:
        """Return one stage with a term for each pair of taps."""
        terms = tuple(self._term(pair, *taps) for taps in pair.taps(self.taps, "vid"))
        return [Stage("train", pair.epochs, terms)]

    def _term(self, pair: Pair, teacher_tap: str, student_tap: str) -> Term:
        teacher, student = pair.shapes(teacher_tap, student_tap)
        size = pair.common_size(teacher_tap, student_tap)
        return Term(
            f"vid.{student_tap}",
            self.weight,
            (student_tap,),
            (teacher_tap,),
            partial(vid_target, size=size),
            _match,
            VIDRegressor(student, teacher, init_pred_var=self.variance),
            kept=Kept.of("features", "map", teacher_tap, size=size),
        )


def _match(mean: Tensor, rho: Tensor, target: Tensor) -> Tensor:
    return vid_match(mean, target, rho)
