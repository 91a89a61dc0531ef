"""Similarity-preserving distillation (SP)."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from tutelage.losses import sp_match, sp_target
from tutelage.methods.base import METHODS, Group, Method, Pair
from tutelage.terms import Kept, Stage, Term


@METHODS.register("sp")
class SP(Method):
    """Similarity-preserving distillation: CE + w·‖G_s − G_t‖²_F / B² between the similarity matrices of a batch.

    G = Q Qᵀ with rows of unit L2 norm, where row i of Q is the flattened feature map of sample i. Channels and sizes
    may differ. Tung and Mori, "Similarity-Preserving Knowledge Distillation", ICCV 2019 (arXiv:1907.09682).

    The default is the paper's weight on the last paired level, as in RepDistiller.

    Example:
        >>> SP(taps={"block2": "layer2"}).weight
        3000.0
    """

    group: ClassVar[Group] = "relations"
    matches: ClassVar[str] = "similarities of maps"

    weight: float = Field(3000.0, ge=0, description="w, the factor of each pair's loss")
    taps: dict[str, str] | None = Field(
        None, description="teacher tap: student tap; the last paired level if not given"
    )

    def stages(self, pair: Pair) -> list[Stage]:
        """Return one stage with a term for each pair of taps."""
        pairs = pair.taps(self.taps, "sp")
        chosen = pairs if self.taps is not None else pairs[-1:]
        return [Stage("train", pair.epochs, tuple(self._term(pair, *taps) for taps in chosen))]

    def _term(self, pair: Pair, teacher_tap: str, student_tap: str) -> Term:
        pair.shapes(teacher_tap, student_tap)  # both must be maps
        return Term(
            f"sp.{student_tap}",
            self.weight,
            (student_tap,),
            (teacher_tap,),
            sp_target,
            sp_match,
            kept=Kept.of("features", "map", teacher_tap),
            relational=True,
        )
