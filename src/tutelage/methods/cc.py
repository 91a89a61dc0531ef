"""Correlation congruence (CC)."""

from __future__ import annotations

from functools import partial
from typing import ClassVar

from pydantic import Field

from tutelage.losses import cc_match
from tutelage.methods.base import METHODS, Group, Method, Pair
from tutelage.methods.embeddings import term_on_embeddings
from tutelage.terms import Stage


@METHODS.register("cc")
class CC(Method):
    """Correlation congruence: CE + w·‖K_s − K_t‖²_F / B² between the kernel matrices of a batch.

    K_ij is the Taylor series of the Gaussian kernel exp(−γ‖e_i − e_j‖²) between embeddings of unit norm. Peng et al.,
    "Correlation Congruence for Knowledge Distillation", ICCV 2019 (arXiv:1904.01802).

    γ, the order and w = 100 are those of Knowledge-Distillation-Zoo. RepDistiller compares consecutive samples instead;
    ``tutelage.losses.cc_loss`` has that form too.

    Example:
        >>> CC(order=3).gamma
        0.4
    """

    group: ClassVar[Group] = "relations"
    matches: ClassVar[str] = "a kernel matrix"

    weight: float = Field(100.0, ge=0, description="w")
    gamma: float = Field(0.4, gt=0, description="γ of the kernel")
    order: int = Field(2, ge=1, description="order of the Taylor series")

    def stages(self, pair: Pair) -> list[Stage]:
        """Return one stage with one term."""
        match = partial(cc_match, gamma=self.gamma, order=self.order)
        return [Stage("train", pair.epochs, (term_on_embeddings("cc", self.weight, match, relational=True),))]
