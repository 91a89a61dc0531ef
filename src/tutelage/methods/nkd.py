"""Normalized knowledge distillation (NKD)."""

from __future__ import annotations

from functools import partial
from typing import ClassVar

from pydantic import Field

from tutelage.losses import nkd_loss
from tutelage.methods.base import METHODS, Group, Method, Pair
from tutelage.methods.logits import term_on_logits
from tutelage.terms import LABELS, Stage


@METHODS.register("nkd")
class NKD(Method):
    """Normalized knowledge distillation: CE − p_t[y]·log p_s[y] − γ·T²·Σ q_t·log q_s, with q over the other classes.

    q is the softmax of z / T over the classes other than the label y. Yang et al., "From Knowledge Distillation to
    Self-Knowledge Distillation: A Unified Approach with Normalized Loss and Customized Soft Labels", ICCV 2023
    (arXiv:2303.13005).

    The defaults are the authors' for ImageNet. The probability of the label is never softened, as in their code.

    Example:
        >>> NKD().gamma
        1.5
    """

    group: ClassVar[Group] = "logits"
    matches: ClassVar[str] = "normalized other classes"
    single_samples: ClassVar[bool] = True

    gamma: float = Field(1.5, ge=0, description="γ, weight of the other classes")
    temperature: float = Field(1.0, gt=0, description="T of the other classes")

    def stages(self, pair: Pair) -> list[Stage]:
        """Return one stage with one term."""
        match = partial(nkd_loss, gamma=self.gamma, temperature=self.temperature)
        return [Stage("train", pair.epochs, (term_on_logits("nkd", 1.0, pair, match, LABELS),))]
