"""Refined logit distillation (RLD)."""

from __future__ import annotations

from functools import partial
from typing import ClassVar

from pydantic import Field

from tutelage.losses import rld_loss
from tutelage.methods.base import METHODS, Group, Method, Pair
from tutelage.methods.logits import term_on_logits
from tutelage.terms import LABELS, Stage, WarmUp


@METHODS.register("rld")
class RLD(Method):
    """Refined logit distillation: CE + α·SCD + β·MCD, which do not teach the classes that the teacher confuses.

    SCD is T_α²·KL between the teacher's confidence, max p_t, and the student's probability of the label. MCD is T²·KL
    over the classes whose teacher logit is below that of the label. Sun et al., "Knowledge Distillation with Refined
    Logits", ICCV 2025 (arXiv:2408.07703).

    * The defaults are the authors'; their α and β depend on the pair of networks.
    * The loss is computed from log-odds; the authors' code takes the logarithm of sums of probabilities, which
      underflows where the networks are confident.

    Example:
        >>> RLD(alpha_temperature=4).warmup
        20
    """

    group: ClassVar[Group] = "logits"
    matches: ClassVar[str] = "outputs without mistakes"
    single_samples: ClassVar[bool] = True

    alpha: float = Field(1.0, ge=0, description="α, weight of SCD")
    beta: float = Field(8.0, ge=0, description="β, weight of MCD")
    temperature: float = Field(4.0, gt=0, description="T of MCD")
    alpha_temperature: float = Field(1.0, gt=0, description="T_α of SCD")
    warmup: int = Field(20, ge=0, description="epochs over which both weights rise linearly")
    standardize: bool = Field(False, description="compare standardized logits")

    def stages(self, pair: Pair) -> list[Stage]:
        """Return one stage with one term."""
        match = partial(
            rld_loss,
            alpha=self.alpha,
            beta=self.beta,
            temperature=self.temperature,
            alpha_temperature=self.alpha_temperature,
            standardize=self.standardize,
        )
        term = term_on_logits("rld", 1.0, pair, match, LABELS, weighting=WarmUp(self.warmup))
        return [Stage("train", pair.epochs, (term,))]
