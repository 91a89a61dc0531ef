"""Masked generative distillation (MGD)."""

from __future__ import annotations

from functools import partial
from typing import ClassVar, Literal

from pydantic import Field

from tutelage.connectors import MGDGenerator
from tutelage.losses import mgd_match, mgd_target
from tutelage.methods.base import METHODS, Group, Method, Pair
from tutelage.terms import Kept, Stage, Term


@METHODS.register("mgd")
class MGD(Method):
    """Masked generative distillation: CE + α · mean over the batch of Σ (G(mask · r(F_s)) − F_t)².

    F are the maps of the last level, r is a 1×1 convolution, left out if the channels are equal, and G consists of two
    3×3 convolutions with a ReLU between them. The mask is drawn for each sample and step. Yang et al., "Masked
    Generative Distillation", ECCV 2022 (arXiv:2205.01529).

    * The defaults α = 7·10⁻⁵ and a share of 0.15 masked channels are those of the authors' code for classification.
      The paper and their code for detection mask positions (``mask="position"``; in that code, a share of 0.65 and
      α = 2·10⁻⁵).
    * The authors' code needs maps of equal size; here the larger map is average-pooled.

    Example:
        >>> MGD(mask="position", ratio=0.65).weight
        7e-05
    """

    group: ClassVar[Group] = "maps"
    matches: ClassVar[str] = "maps behind a mask"

    weight: float = Field(7e-5, ge=0, description="α, the factor of a sum over the map")
    ratio: float = Field(0.15, ge=0, le=1, description="share of masked channels or positions")
    mask: Literal["channel", "position"] = Field("channel", description="what is masked")
    taps: dict[str, str] | None = Field(None, description="teacher tap: student tap; the last pair where not given")

    def stages(self, pair: Pair) -> list[Stage]:
        """Return one stage with a term for each pair of taps."""
        pairs = pair.taps(self.taps, "mgd")
        chosen = pairs[-1:] if self.taps is None else pairs
        return [Stage("train", pair.epochs, tuple(self._term(pair, *taps) for taps in chosen))]

    def _term(self, pair: Pair, teacher_tap: str, student_tap: str) -> Term:
        teacher, student = pair.shapes(teacher_tap, student_tap)
        size = pair.common_size(teacher_tap, student_tap)
        return Term(
            f"mgd.{student_tap}",
            self.weight,
            (student_tap,),
            (teacher_tap,),
            partial(mgd_target, size=size),
            mgd_match,
            MGDGenerator(student[0], teacher[0], self.ratio, self.mask),
            kept=Kept.of("features", "mgd", teacher_tap, size=size),
        )
