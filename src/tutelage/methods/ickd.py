"""Inter-channel correlation distillation (ICKD)."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from tutelage.connectors import projector
from tutelage.losses import ickd_match, ickd_target
from tutelage.methods.base import METHODS, Group, Method, Pair
from tutelage.terms import Kept, Stage, Term


@METHODS.register("ickd")
class ICKD(Method):
    """Inter-channel correlation distillation: CE + w·Σ_i ‖u^s_i − u^t_i‖² / C between the correlations of channels.

    u_i is row i of the Gram matrix X Xᵀ of the channels of a sample, scaled to unit L2 norm. The student's map passes a
    1×1 convolution and batch normalization to the teacher's channels; sizes may differ. Liu et al., "Exploring
    Inter-Channel Correlation for Diversity-preserved Knowledge Distillation", ICCV 2021.

    The default is the smallest of the authors' weights, 2.5 to 4, on the last paired level. They add KL too, as in
    ``kd+ickd``.

    Example:
        >>> ICKD(weight=4).taps is None
        True
    """

    group: ClassVar[Group] = "maps"
    matches: ClassVar[str] = "channel correlations"

    weight: float = Field(2.5, ge=0, description="w, the factor of each pair's loss")
    taps: dict[str, str] | None = Field(
        None, description="teacher tap: student tap; the last paired level if not given"
    )

    def stages(self, pair: Pair) -> list[Stage]:
        """Return one stage with a term for each pair of taps."""
        pairs = pair.taps(self.taps, "ickd")
        chosen = pairs if self.taps is not None else pairs[-1:]
        return [Stage("train", pair.epochs, tuple(self._term(pair, *taps) for taps in chosen))]

    def _term(self, pair: Pair, teacher_tap: str, student_tap: str) -> Term:
        teacher, student = pair.shapes(teacher_tap, student_tap)
        return Term(
            f"ickd.{student_tap}",
            self.weight,
            (student_tap,),
            (teacher_tap,),
            ickd_target,
            ickd_match,
            projector(student, teacher, relu=False),
            kept=Kept.of("features", "map", teacher_tap),
        )
