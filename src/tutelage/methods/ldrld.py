"""Local dense relational logit distillation (LDRLD)."""

from __future__ import annotations

from functools import partial
from typing import ClassVar

from pydantic import Field

from tutelage.losses import ldrld_loss
from tutelage.methods.base import METHODS, Group, Method, Pair
from tutelage.methods.logits import term_on_logits
from tutelage.terms import Stage


@METHODS.register("ldrld")
class LDRLD(Method):
    """Local dense relations: CE + α·T²·KL within pairs of the student's best k classes + β·T²·KL over the rest.

    Pairs of higher ranks, and of ranks closer to each other, weigh more. Xu et al., "Local Dense Logit Relations for
    Enhanced Knowledge Distillation", ICCV 2025 (arXiv:2507.15911). The defaults are the authors' for ResNet-32x4 and
    ResNet-8x4 on CIFAR-100.

    Example:
        >>> LDRLD(k=5).alpha
        10.5
    """

    group: ClassVar[Group] = "logits"
    matches: ClassVar[str] = "pairs of best classes"

    alpha: float = Field(10.5, ge=0, description="α, weight of the best classes")
    beta: float = Field(7.0, ge=0, description="β, weight of the other classes")
    k: int = Field(7, ge=2, description="number of best classes; all classes if there are fewer")
    temperature: float = Field(4.0, gt=0)

    def stages(self, pair: Pair) -> list[Stage]:
        """Return one stage with one term."""
        k = min(self.k, pair.classes)
        match = partial(ldrld_loss, alpha=self.alpha, beta=self.beta, k=k, temperature=self.temperature)
        return [Stage("train", pair.epochs, (term_on_logits("ldrld", 1.0, pair, match),))]
