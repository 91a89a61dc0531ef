"""Weighted soft label distillation (WSLD)."""

from __future__ import annotations

from functools import partial
from typing import ClassVar

from pydantic import Field

from tutelage.losses import wsld_loss
from tutelage.methods.base import METHODS, Group, Method, Pair
from tutelage.methods.logits import term_on_logits
from tutelage.terms import LABELS, Stage


@METHODS.register("wsld")
class WSLD(Method):
    """Weighted soft labels: CE + α·T²·w·(−Σ p_t·log p_s), with w = 1 − exp(−CE_s / CE_t) of each sample.

    A sample counts more, the worse the student is on it compared with the teacher. w is detached. Zhou et al.,
    "Rethinking Soft Labels for Knowledge Distillation: A Bias-Variance Tradeoff Perspective", ICLR 2021
    (arXiv:2102.00650). The defaults are the authors' for ImageNet.

    Example:
        >>> WSLD().temperature
        2.0
    """

    group: ClassVar[Group] = "logits"
    matches: ClassVar[str] = "outputs, weighted"
    single_samples: ClassVar[bool] = True

    alpha: float = Field(2.5, ge=0, description="α")
    temperature: float = Field(2.0, gt=0)

    def stages(self, pair: Pair) -> list[Stage]:
        """Return one stage with one term."""
        match = partial(wsld_loss, alpha=self.alpha, temperature=self.temperature)
        return [Stage("train", pair.epochs, (term_on_logits("wsld", 1.0, pair, match, LABELS),))]
