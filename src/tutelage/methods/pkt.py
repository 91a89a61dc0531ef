"""Probabilistic knowledge transfer (PKT)."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from tutelage.losses import pkt_match
from tutelage.methods.base import METHODS, Group, Method, Pair
from tutelage.methods.embeddings import term_on_embeddings
from tutelage.terms import Stage


@METHODS.register("pkt")
class PKT(Method):
    """Probabilistic knowledge transfer: CE + w·mean_ij p^t_ij log(p^t_ij / p^s_ij), neighbor probabilities of a batch.

    p_ij = (cos(e_i, e_j) + 1) / Σ_k (cos(e_i, e_k) + 1) with the embeddings e. Passalis and Tefas, "Learning Deep
    Representations with Probabilistic Knowledge Transfer", ECCV 2018 (arXiv:1803.10837).

    The default weight is that of RepDistiller. It is large because the mean is over B² pairs, as in the authors' code.

    Example:
        >>> PKT(weight=10000).weight
        10000.0
    """

    group: ClassVar[Group] = "relations"
    matches: ClassVar[str] = "neighbor probabilities"

    weight: float = Field(30000.0, ge=0, description="w")

    def stages(self, pair: Pair) -> list[Stage]:
        """Return one stage with one term."""
        return [Stage("train", pair.epochs, (term_on_embeddings("pkt", self.weight, pkt_match, relational=True),))]
