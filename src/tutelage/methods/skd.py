"""Streamlined knowledge distillation (SKD)."""

from __future__ import annotations

from functools import partial
from typing import ClassVar, Literal

from pydantic import Field

from tutelage.losses import skd_loss
from tutelage.methods.base import METHODS, Group, Method, Pair
from tutelage.methods.logits import term_on_logits
from tutelage.terms import Stage


@METHODS.register("skd")
class SKD(Method):
    """Streamlined knowledge distillation: KL of each sample, and a distance between the similarities of the batch.

    ce·CE + w·(f·KL(p_t‖p_s) + g·mean_i √(D_iᵀ·(Cov(D) + λI)⁻¹·D_i)), where D is the difference of the cosine
    similarities (B, B) of the logits. "Streamlined Knowledge Distillation", CVPR 2026.

    * ``form="code"`` is the authors' code: D is divided by the number of classes, so Cov(D) is small against λI. f is
      T² times a share of the samples and g a share of the classes, each about ½.
    * ``form="paper"`` has f = g = 1 and D as it is, as in torchdistill.
    * The distance relates the samples of a batch, so several processes share their batches and ``accumulate`` is
      refused.

    Example:
        >>> SKD(form="paper").ce
        0.1
    """

    group: ClassVar[Group] = "logits"
    matches: ClassVar[str] = "outputs, similarities"

    weight: float = Field(0.9, ge=0, description="w")
    ce: float = Field(0.1, ge=0, description="weight of CE")
    temperature: float = Field(4.0, gt=0, description="T of KL")
    ridge: float = Field(0.1, gt=0, description="λ")
    form: Literal["code", "paper"] = "code"

    def stages(self, pair: Pair) -> list[Stage]:
        """Return one stage with one term."""
        match = partial(skd_loss, temperature=self.temperature, ridge=self.ridge, form=self.form)
        term = term_on_logits("skd", self.weight, pair, match, relational=True)
        return [Stage("train", pair.epochs, (term,), task_weight=self.ce)]
