"""Attention transfer by activation."""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from tutelage.losses import attention_match, attention_target
from tutelage.methods.base import METHODS, Group, Method, Pair
from tutelage.terms import Kept, Stage, Term

WEIGHT = 1000.0
LEAST_POSITIONS = 49
"""Number of positions of the smallest maps (7×7) for which the weight was published."""


@METHODS.register("at")
class AT(Method):
    """Attention transfer: CE + β·Σ_levels mean over the batch and positions of (Q_s − Q_t)².

    Q is the attention map Σ_c abs(F)^p or max_c abs(F)^p, flattened and scaled to unit L2 norm per sample. Zagoruyko
    and Komodakis, "Paying More Attention to Attention", ICLR 2017 (arXiv:1612.03928).

    * ``form="code"`` is this mean over positions, as in the authors' code, with the published weight β = 1000.
      ``form="paper"`` is half the batch mean of ‖Q_s − Q_t‖₂ and has no default weight.
    * On maps smaller than 7×7, the default β is 1000 · (H·W / 49)². Otherwise the mean over few positions would
      dominate the cross-entropy. With this factor, all maps of a network together count as much as in the published
      settings.
    * The authors decrease β when they combine AT with KD; set ``final_weight`` to do so.

    Example:
        >>> AT(weight=500, p=1).reduce
        'sum'
    """

    group: ClassVar[Group] = "maps"
    matches: ClassVar[str] = "attention maps"

    weight: float | None = Field(
        None, ge=0, description="β, the factor of each level's loss; null: 1000, less on maps below 7×7; form=code only"
    )
    form: Literal["code", "paper"] = "code"
    p: int = Field(2, ge=1, description="power in Σ_c abs(F)^p")
    reduce: Literal["sum", "max"] = Field("sum", description="sum or maximum over the channels")
    final_weight: float | None = Field(None, ge=0, description="β at the end, reached linearly; null: constant")
    taps: dict[str, str] | None = Field(None, description="teacher tap: student tap; null: the paired levels")

    @model_validator(mode="after")
    def _weight_of_the_form(self) -> AT:
        if self.form != "code" and self.weight is None:
            raise ValueError(f"at.form={self.form} has no default weight; set at.weight")
        return self

    def stages(self, pair: Pair) -> list[Stage]:
        """Return one stage with a term for each pair of taps."""
        terms = tuple(self._term(pair, *taps) for taps in pair.taps(self.taps, "at"))
        return [Stage("train", pair.epochs, terms)]

    def _term(self, pair: Pair, teacher_tap: str, student_tap: str) -> Term:
        size = pair.common_size(teacher_tap, student_tap)
        usual = WEIGHT * min(1.0, size[0] * size[1] / LEAST_POSITIONS) ** 2
        how: dict[str, Any] = {"size": size, "p": self.p, "reduce": self.reduce}
        return Term(
            f"at.{student_tap}",
            usual if self.weight is None else self.weight,
            (student_tap,),
            (teacher_tap,),
            partial(attention_target, **how),
            partial(attention_match, **how, form=self.form),
            final_weight=self.final_weight,
            kept=Kept.of("statistic", "attention", teacher_tap, **how),
        )
