"""Knowledge distillation on softened outputs."""

from __future__ import annotations

from functools import partial
from typing import Literal

from pydantic import Field, model_validator

from tutelage.losses import ensemble_target, kd_match, kd_target
from tutelage.methods.base import METHODS, Method, Pair
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
) -> Term:
    """Return the KD term, weight · T²·KL(p_t‖p_s) between the softened outputs of teacher and student.

    Args:
        pair: The probed networks.
        weight: Weight of the term.
        temperature: The temperature T.
        average: Average of several teachers, over their "logits" or their softened "probabilities".
        final_weight: Weight at the end of the stage. None for ``weight``.
    """
    match = partial(kd_match, temperature=temperature)
    if pair.teachers == 1:
        target, kept = kd_target, Kept.of("logits", "logits")
    else:
        # Unlike the mean of the logits, the mean of the softened probabilities depends on the temperature.
        settings = {"average": average} if average == "logits" else {"average": average, "temperature": temperature}
        target = partial(ensemble_target, temperature=temperature, average=average)
        kept = Kept.of("logits", "ensemble", **settings)
    return Term(KD_TERM, weight, (LOGITS,), (LOGITS,), target, match, final_weight=final_weight, kept=kept)


@METHODS.register("kd")
class KD(Method):
    """Knowledge distillation: (1 − α)·CE + α·T²·KL(p_t‖p_s) with p = softmax(z / T), averaged over the batch.

    Hinton, Vinyals and Dean, "Distilling the Knowledge in a Neural Network", 2015 (arXiv:1503.02531).

    * The defaults T = 4 and α = 0.9 are those of the attention-transfer code. α is the weight of KL, while torchdistill
      uses α as the weight of CE.
    * ``labels=false`` is T²·KL alone, for data without labels. In partly labeled data, CE ignores labels of −1.
    * Several teachers (``teacher=[runs/a, runs/b]``) are averaged, over their logits or their softened probabilities
      (``ensemble``).

    Example:
        >>> KD(temperature=2, alpha=0.5).weight
        0.5
    """

    temperature: float = Field(4.0, gt=0)
    alpha: float = Field(0.9, ge=0, le=1, description="weight of KL; CE has 1 − alpha")
    labels: bool = Field(True, description="false: KL alone, with weight 1")
    ensemble: Average = Field("logits", description="what is averaged where there are several teachers")

    @model_validator(mode="after")
    def _alpha_needs_labels(self) -> KD:
        # The default is allowed because the config.yaml of a run lists every setting.
        if not self.labels and self.alpha not in (1, KD.model_fields["alpha"].default):
            raise ValueError("kd.labels=false is KL alone, with weight 1: leave kd.alpha out")
        return self

    @property
    def weight(self) -> float:
        """Weight of KL; the cross-entropy has the weight 1 − weight."""
        return self.alpha if self.labels else 1.0

    def stages(self, pair: Pair) -> list[Stage]:
        """Return one stage with one term."""
        term = logits_term(pair, self.weight, self.temperature, self.ensemble)
        return [Stage("train", pair.epochs, (term,), task_weight=1 - self.weight)]
