"""Projector ensemble feature distillation (PEFD)."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from tutelage.connectors import ProjectorEnsemble
from tutelage.losses import pefd_match
from tutelage.methods.base import METHODS, Group, Method, Pair
from tutelage.methods.embeddings import term_on_embeddings, widths
from tutelage.terms import Stage


@METHODS.register("pefd")
class PEFD(Method):
    """Projector ensemble feature distillation: CE + w·(1 − cos(r(e_s), e_t)) between the embeddings.

    r is the average of several projectors, each a linear layer with a ReLU, which only differ in their random start.
    Chen et al., "Improved Feature Distillation via Projector Ensemble", NeurIPS 2022 (arXiv:2210.15274).

    The defaults are the authors': w = 25, three projectors, and no KL.

    Example:
        >>> PEFD(projectors=1).weight
        25.0
    """

    group: ClassVar[Group] = "embeddings"
    matches: ClassVar[str] = "the embedding's direction"

    weight: float = Field(25.0, ge=0, description="w")
    projectors: int = Field(3, ge=1, description="number of projectors")

    def stages(self, pair: Pair) -> list[Stage]:
        """Return one stage with one term."""
        connector = ProjectorEnsemble(*widths(pair), self.projectors)
        return [Stage("train", pair.epochs, (term_on_embeddings("pefd", self.weight, pefd_match, connector),))]
