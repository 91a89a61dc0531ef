"""Knowledge distillation on softened outputs."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any, ClassVar, Literal

from pydantic import Field, ModelWrapValidatorHandler, model_validator

from tutelage.losses import ensemble_target, kd_match
from tutelage.methods.base import METHODS, Group, Method, Pair
from tutelage.methods.logits import mean_logits
from tutelage.terms import LOGITS, Kept, Stage, Term

Average = Literal["logits", "probabilities"]

KD_TERM = "kd"
"""Name of the term that matches logits, in every method."""


def logits_term(
    pair: Pair,
    weight: float,
    temperature: float,
    average: Average = "logits",
    final_weight: float | None = None,
    standardize: bool = False,
) -> Term:
    """Return the KD term, weight · T²·KL(p_t‖p_s) between the softened outputs of teacher and student.

    Args:
        pair: The probed networks.
        weight: Weight of the term.
        temperature: The temperature T.
        average: Average of several teachers, over their "logits" or their softened "probabilities".
        final_weight: Weight at the end of the stage. None for ``weight``.
        standardize: Whether to standardize the logits of both networks first.
    """
    match = partial(kd_match, temperature=temperature, standardize=standardize)
    target, kept = mean_logits(pair, whole=standardize)
    if pair.teachers > 1 and average == "probabilities":
        # Unlike the mean of the logits, the mean of the softened probabilities depends on the temperature.
        target = partial(ensemble_target, temperature=temperature, average=average)
        described = Kept.of("logits", "ensemble", average=average, temperature=temperature)
        kept = replace(described, whole=standardize)
    return Term(KD_TERM, weight, (LOGITS,), (LOGITS,), target, match, final_weight=final_weight, kept=kept)


@METHODS.register("kd")
class KD(Method):
    """Knowledge distillation: (1 − α)·CE + α·T²·KL(p_t‖p_s) with p = softmax(z / T), averaged over the batch.

    Hinton, Vinyals and Dean, "Distilling the Knowledge in a Neural Network", 2015 (arXiv:1503.02531).

    * The defaults T = 4 and α = 0.9 are those of the attention-transfer code. α is the weight of KL, while torchdistill
      uses α as the weight of CE. ``weight`` and ``ce`` set the two weights separately.
    * ``standardize=true`` compares standardized logits, (z − mean) / standard deviation of each sample: Sun et al.,
      "Logit Standardization in Knowledge Distillation", CVPR 2024 (arXiv:2403.01427). It implies its authors' defaults
      for CIFAR-100: ``temperature=2``, ``weight=9`` and ``ce=0.1``. On ImageNet, they set ``ce=1``.
    * ``labels=false`` is T²·KL alone, for data without labels. In partly labeled data, CE ignores labels of −1.
    * Several teachers (``teacher=[runs/a, runs/b]``) are averaged, over their logits or their softened probabilities
      (``ensemble``).

    Example:
        >>> KD(temperature=2, alpha=0.5).kl_weight
        0.5
        >>> KD(standardize=True, temperature=3)
        KD(temperature=3.0, alpha=0.9, labels=True, ensemble='logits', weight=9.0, ce=0.1, standardize=True)
    """

    group: ClassVar[Group] = "logits"
    matches: ClassVar[str] = "softened outputs"

    temperature: float = Field(4.0, gt=0)
    alpha: float = Field(0.9, ge=0, le=1, description="weight of KL; CE has 1 − alpha")
    labels: bool = Field(True, description="false: KL alone, with weight 1")
    ensemble: Average = Field("logits", description="what is averaged where there are several teachers")
    weight: float | None = Field(None, ge=0, description="weight of KL; null: alpha, or 1 with labels=false")
    ce: float | None = Field(None, ge=0, description="weight of CE, in sums too; null: 1 − alpha")
    standardize: bool = Field(
        False, description="compare standardized logits; implies temperature=2 weight=9 ce=0.1 unless set"
    )

    @model_validator(mode="wrap")
    @classmethod
    def _standardize_implies(cls, values: Any, validate: ModelWrapValidatorHandler[KD]) -> KD:
        method = validate(values)
        if not method.standardize:
            return method
        return validate(method.implying(temperature=2.0, weight=9.0, ce=0.1 if method.labels else 0.0))

    @model_validator(mode="after")
    def _nothing_is_ignored(self) -> KD:
        # The default of alpha is allowed because the config.yaml of a run lists every setting.
        own_alpha = self.alpha != KD.model_fields["alpha"].default
        if not self.labels and own_alpha and self.alpha != 1:
            raise ValueError("kd.labels=false is KL alone, with weight 1: leave kd.alpha out")
        if not self.labels and self.ce:
            raise ValueError("kd.labels=false is KL alone, without cross-entropy: leave kd.ce out")
        if own_alpha and self.weight is not None and self.ce is not None:
            raise ValueError("kd.weight and kd.ce, which kd.standardize=true sets, replace kd.alpha: leave it out")
        return self

    @property
    def kl_weight(self) -> float:
        """Weight of KL."""
        usual = self.alpha if self.labels else 1.0
        return usual if self.weight is None else self.weight

    @property
    def ce_weight(self) -> float:
        """Weight of the cross-entropy, also in sums with other methods."""
        usual = 1 - self.alpha if self.labels else 0.0
        return usual if self.ce is None else self.ce

    def stages(self, pair: Pair) -> list[Stage]:
        """Return one stage with one term."""
        term = logits_term(pair, self.kl_weight, self.temperature, self.ensemble, standardize=self.standardize)
        return [Stage("train", pair.epochs, (term,), task_weight=self.ce_weight)]
