"""Relational knowledge distillation (RKD)."""

from __future__ import annotations

from functools import partial
from typing import ClassVar

from pydantic import Field

from tutelage.losses import rkd_match
from tutelage.methods.base import METHODS, Group, Method, Pair
from tutelage.methods.embeddings import term_on_embeddings
from tutelage.terms import Stage


@METHODS.register("rkd")
class RKD(Method):
    """Relational knowledge distillation: CE + w_d·distances + w_a·angles between the samples of a batch.

    Both parts are mean smooth L1 distances between relations of the embeddings of student and teacher: all Euclidean
    distances, divided by their mean, and the cosines of all angles. Park et al., "Relational Knowledge Distillation",
    CVPR 2019 (arXiv:1904.05068).

    The default weights are those of RepDistiller. The authors use 1 and 2 for metric learning.

    Example:
        >>> RKD(w_d=1, w_a=2).w_a
        2.0
    """

    group: ClassVar[Group] = "relations"
    matches: ClassVar[str] = "distances and angles"

    w_d: float = Field(25.0, ge=0, description="weight of the distances")
    w_a: float = Field(50.0, ge=0, description="weight of the angles; 0 skips them")

    def stages(self, pair: Pair) -> list[Stage]:
        """Return one stage with one term."""
        match = partial(rkd_match, w_d=self.w_d, w_a=self.w_a)
        return [Stage("train", pair.epochs, (term_on_embeddings("rkd", 1.0, match, relational=True),))]
