"""Transformed teacher matching (TTM), and its weighted form (WTTM)."""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar

from pydantic import Field, ModelWrapValidatorHandler, model_validator

from tutelage.losses import ttm_loss
from tutelage.methods.base import METHODS, Group, Method, Pair
from tutelage.methods.logits import term_on_logits
from tutelage.terms import Stage


@METHODS.register("ttm")
class TTM(Method):
    """Transformed teacher matching: CE + β·KL(q‖p_s) with q = p_t^γ / Σ p_t^γ; only the teacher is softened.

    Zheng and Yang, "Knowledge Distillation Based on Transformed Teacher Matching", ICLR 2024 (arXiv:2402.11148).

    * The student keeps temperature 1, and there is no factor T².
    * ``weighted=true`` (WTTM) multiplies each sample's KL by Σ p_t^γ, which is large where the teacher is unsure.
    * The defaults are those of the authors' examples: γ = 0.1 and β = 45; with ``weighted=true``, γ = 0.2 and β = 4,
      which they use beside CRD.

    Example:
        >>> TTM(weighted=True)
        TTM(weight=4.0, gamma=0.2, weighted=True)
    """

    group: ClassVar[Group] = "logits"
    matches: ClassVar[str] = "a power of the outputs"

    weight: float = Field(45.0, ge=0, description="β")
    gamma: float = Field(0.1, gt=0, description="γ; 1/γ is the teacher's temperature")
    weighted: bool = Field(False, description="weight the samples (WTTM); implies weight=4 gamma=0.2 unless set")

    @model_validator(mode="wrap")
    @classmethod
    def _weighted_implies(cls, values: Any, validate: ModelWrapValidatorHandler[TTM]) -> TTM:
        method = validate(values)
        return validate(method.implying(weight=4.0, gamma=0.2)) if method.weighted else method

    def stages(self, pair: Pair) -> list[Stage]:
        """Return one stage with one term."""
        match = partial(ttm_loss, gamma=self.gamma, weighted=self.weighted)
        return [Stage("train", pair.epochs, (term_on_logits("ttm", self.weight, pair, match),))]
