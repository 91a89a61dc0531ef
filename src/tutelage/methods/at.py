"""Attention transfer by activation."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Literal

from pydantic import Field, model_validator
from torch import Tensor

from tutelage.losses import attention_match, attention_target
from tutelage.methods.base import METHODS, Method, Pair
from tutelage.taps import as_map
from tutelage.terms import Stage, Term


def _of_map(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Lets ``function`` read any feature as a map: tokens are laid out in space first."""
    return lambda feature, *rest: function(as_map(feature), *rest)


@METHODS.register("at")
class AT(Method):
    """Attention transfer: CE + β·Σ_stages mean over the batch and positions of (Q_s − Q_t)².

    Q is Σ_c abs(F)^p, flattened, with unit L2 norm a sample. Zagoruyko, Komodakis: Paying More Attention to Attention,
    ICLR 2017 (arXiv:1612.03928). β = 1000 belongs to this mean over positions ("code", the authors' code); "paper" is
    half the batch mean of ‖Q_s − Q_t‖₂, and its weight must be given.
    """

    weight: float = Field(1000.0, ge=0, description="β, the factor of each stage's loss; it belongs to the form")
    form: Literal["code", "paper"] = "code"
    p: int = Field(2, ge=1, description="the power in Σ_c abs(F)^p")
    taps: dict[str, str] | None = Field(None, description="teacher tap: student tap; paired stages where not given")

    @model_validator(mode="after")
    def _weight_of_the_form(self) -> AT:
        if self.form != "code" and "weight" not in self.model_fields_set:
            raise ValueError("the default weight belongs to at.form=code: give at.weight too")
        return self

    def stages(self, pair: Pair) -> list[Stage]:
        """Returns one stage with a term for each pair of taps."""
        terms = tuple(self._term(pair, *taps) for taps in pair.taps(self.taps, "at"))
        return [Stage("train", pair.epochs, terms)]

    def _term(self, pair: Pair, teacher_tap: str, student_tap: str) -> Term:
        (_, h_t, w_t), (_, h_s, w_s) = pair.shapes(teacher_tap, student_tap)
        size = (min(h_t, h_s), min(w_t, w_s))
        return Term(
            f"at.{student_tap}",
            self.weight,
            (student_tap,),
            (teacher_tap,),
            _of_map(partial(attention_target, size=size, p=self.p)),
            _of_map(partial(attention_match, size=size, p=self.p, form=self.form)),
        )
