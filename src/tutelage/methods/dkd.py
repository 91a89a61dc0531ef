"""Decoupled knowledge distillation (DKD)."""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar

from pydantic import Field, ModelWrapValidatorHandler, model_validator

from tutelage.losses import dkd_loss
from tutelage.methods.base import METHODS, Group, Method, Pair
from tutelage.methods.logits import term_on_logits
from tutelage.terms import LABELS, Stage, WarmUp


@METHODS.register("dkd")
class DKD(Method):
    """Decoupled knowledge distillation: CE + α·TCKD + β·NCKD, of the label's class and of the other classes.

    TCKD is T²·KL between the probabilities of the label and of all others together, NCKD is T²·KL between the softmaxes
    over the other classes. Zhao et al., "Decoupled Knowledge Distillation", CVPR 2022 (arXiv:2203.08679).

    * The defaults are the authors' for CIFAR-100, except that their β depends on the pair of networks (2 to 8). For
      ImageNet, they set T = 1, one epoch of warm-up, and β = 0.5 (ResNet-18) or 2 (MobileNetV1).
    * The loss is computed from log-odds; the authors' code takes the logarithm of sums of probabilities, which
      underflows where the networks are confident.
    * ``standardize=true`` compares standardized logits, as ``kd.standardize`` does. It implies its authors' defaults:
      ``temperature=2``, and α and β times 9.

    Example:
        >>> DKD(beta=6).warmup
        20
        >>> DKD(standardize=True).beta
        72.0
    """

    group: ClassVar[Group] = "logits"
    matches: ClassVar[str] = "label's class and others"
    single_samples: ClassVar[bool] = True

    alpha: float = Field(1.0, ge=0, description="α, weight of the label's class")
    beta: float = Field(8.0, ge=0, description="β, weight of the other classes")
    temperature: float = Field(4.0, gt=0)
    warmup: int = Field(20, ge=0, description="epochs over which both weights rise linearly")
    standardize: bool = Field(
        False, description="compare standardized logits; implies temperature=2 alpha=9 beta=72 unless set"
    )

    @model_validator(mode="wrap")
    @classmethod
    def _standardize_implies(cls, values: Any, validate: ModelWrapValidatorHandler[DKD]) -> DKD:
        method = validate(values)
        return validate(method.implying(temperature=2.0, alpha=9.0, beta=72.0)) if method.standardize else method

    def stages(self, pair: Pair) -> list[Stage]:
        """Return one stage with one term."""
        match = partial(
            dkd_loss,
            alpha=self.alpha,
            beta=self.beta,
            temperature=self.temperature,
            standardize=self.standardize,
        )
        term = term_on_logits("dkd", 1.0, pair, match, LABELS, weighting=WarmUp(self.warmup))
        return [Stage("train", pair.epochs, (term,))]
