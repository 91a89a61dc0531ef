"""DIST: knowledge distillation from a stronger teacher."""

from __future__ import annotations

from functools import partial
from typing import ClassVar

from pydantic import Field

from tutelage.losses import dist_loss
from tutelage.methods.base import METHODS, Group, Method, Pair
from tutelage.methods.logits import term_on_logits
from tutelage.terms import Stage


@METHODS.register("dist")
class DIST(Method):
    """DIST: CE + w·T²·(β·(1 − ρ between classes) + γ·(1 − ρ between samples)), with Pearson's correlation ρ.

    The probabilities softmax(z / T) of both networks are correlated by row (the classes of a sample) and by column (the
    samples of a batch). Huang et al., "Knowledge Distillation from A Stronger Teacher", NeurIPS 2022
    (arXiv:2205.10536).

    * The defaults are the authors' for CIFAR-100; for ImageNet, they set T = 1.
    * The columns depend on the batch, so several processes share their batches and ``accumulate`` is refused.

    Example:
        >>> DIST(temperature=1).weight
        2.0
    """

    group: ClassVar[Group] = "logits"
    matches: ClassVar[str] = "correlations of outputs"

    weight: float = Field(2.0, ge=0, description="w")
    beta: float = Field(1.0, ge=0, description="β, weight of the correlation between classes")
    gamma: float = Field(1.0, ge=0, description="γ, weight of the correlation between samples")
    temperature: float = Field(4.0, gt=0)

    def stages(self, pair: Pair) -> list[Stage]:
        """Return one stage with one term."""
        match = partial(dist_loss, beta=self.beta, gamma=self.gamma, temperature=self.temperature)
        return [Stage("train", pair.epochs, (term_on_logits("dist", self.weight, pair, match, relational=True),))]
