"""Information-theoretic representation distillation (ITRD)."""

from __future__ import annotations

from typing import ClassVar

import torch.nn as nn
from pydantic import Field
from torch import Tensor

from tutelage.losses import itrd_correlation_loss, itrd_mutual_loss
from tutelage.methods.base import METHODS, Group, Method, Pair
from tutelage.methods.embeddings import term_on_embeddings, widths
from tutelage.terms import Stage


@METHODS.register("itrd")
class ITRD(Method):
    """Information-theoretic distillation: CE + β·log₂ Σ_d abs(c_d − 1)^2α + γ·Σ_ij G_s² − (G_s ∘ G_t)².

    c_d is the correlation of feature d over the batch between the teacher's embedding and the student's, which passes a
    linear layer r to the teacher's width. G holds the cosines between the samples of a batch, with trace 1. Miles et
    al., "Information Theoretic Representation Distillation", BMVC 2022 (arXiv:2112.00459).

    The defaults are those of the authors' code. As there, the second part skips r if both widths are equal.

    Example:
        >>> ITRD(mutual_weight=1, alpha=1.01).correlation_weight
        2.0
    """

    group: ClassVar[Group] = "relations"
    matches: ClassVar[str] = "correlations, cosines"

    correlation_weight: float = Field(2.0, ge=0, description="β")
    mutual_weight: float = Field(0.05, ge=0, description="γ")
    alpha: float = Field(1.5, gt=0, description="α")

    def stages(self, pair: Pair) -> list[Stage]:
        """Return one stage with one term."""
        term = term_on_embeddings("itrd", 1.0, self._match, _Connector(*widths(pair)), relational=True)
        return [Stage("train", pair.epochs, (term,))]

    def _match(self, embedded: Tensor, student: Tensor, target: Tensor) -> Tensor:
        correlation = itrd_correlation_loss(embedded, target, alpha_it=self.alpha)
        return self.correlation_weight * correlation + self.mutual_weight * itrd_mutual_loss(student, target)


class _Connector(nn.Module):
    """Linear layer to the teacher's width. Returns its output, and what the mutual information is computed from."""

    def __init__(self, student_width: int, teacher_width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(student_width, teacher_width)

    def forward(self, embeddings: Tensor) -> tuple[Tensor, Tensor]:
        embedded = self.linear(embeddings)
        return embedded, embeddings if self.linear.in_features == self.linear.out_features else embedded
