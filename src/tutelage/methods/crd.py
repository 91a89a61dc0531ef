"""Contrastive representation distillation (CRD)."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch.nn as nn
from pydantic import Field
from torch import Tensor

from tutelage.connectors import CRDContrast, CRDEmbedding, CRDMemory
from tutelage.methods.base import METHODS, Group, Method, Pair
from tutelage.methods.embeddings import term_on_embeddings, widths
from tutelage.terms import INDEX, Stage


@METHODS.register("crd")
class CRD(Method):
    """Contrastive representation distillation: CE + β·(NCE of the student's embedding + NCE of the teacher's).

    Each network's embedding passes its own linear layer and is scaled to unit norm. Noise-contrastive estimation
    tells the other network's embedding of the same sample from those of K samples of other classes:
    −log P⁺ / (P⁺ + K/N) − Σ_k log (K/N) / (P_k + K/N), with P = exp(cosine / T) / Z. The other network's embeddings
    come from a bank of all N training samples, of which each step updates its own. Tian, Krishnan and Isola,
    "Contrastive Representation Distillation", ICLR 2020 (arXiv:1910.10699).

    * The defaults are those of the authors' code, RepDistiller. Its examples for ``kd+crd`` have
      ``kd.weight=1 kd.ce=1``.
    * Both linear layers are trained. Z is N times the mean of the first batch, and constant from then on.
    * K may exceed the number of samples of other classes; they are then repeated. Every sample without a label
      counts as a separate class.

    Example:
        >>> CRD(negatives=4096).positive
        'exact'
    """

    group: ClassVar[Group] = "relations"
    matches: ClassVar[str] = "embeddings, contrasted"
    single_samples: ClassVar[bool] = True

    weight: float = Field(0.8, ge=0, description="β")
    negatives: int = Field(16384, ge=1, description="K, samples of other classes for each sample of a batch")
    temperature: float = Field(0.07, gt=0, description="T")
    momentum: float = Field(0.5, ge=0, lt=1, description="share of the old embedding when the banks are updated")
    dim: int = Field(128, ge=1, description="width of the embeddings that are compared")
    positive: Literal["exact", "relax"] = Field(
        "exact", description="the positive is the same sample (exact) or any sample of its class (relax)"
    )

    def stages(self, pair: Pair) -> list[Stage]:
        """Return one stage with one term."""
        student, teacher = widths(pair)
        labels = pair.known_labels("crd")
        match = Contrasted(
            CRDEmbedding(teacher, self.dim),
            CRDContrast(labels, self.negatives, relaxed=self.positive == "relax"),
            CRDMemory(len(labels), self.dim, temperature=self.temperature, momentum=self.momentum),
        )
        # Relational, so that each process updates its banks with the samples of all.
        term = term_on_embeddings("crd", self.weight, match, CRDEmbedding(student, self.dim), INDEX, relational=True)
        return [Stage("train", pair.epochs, (term,))]


class Contrasted(nn.Module):
    """The CRD loss, with the teacher's linear layer, which is trained too, and the banks."""

    def __init__(self, embedding: CRDEmbedding, contrast: CRDContrast, memory: CRDMemory) -> None:
        super().__init__()
        self.embedding = embedding
        self.contrast = contrast
        self.memory = memory

    def forward(self, student: Tensor, teacher: Tensor, index: Tensor) -> Tensor:
        loss: Tensor = self.memory(student, self.embedding(teacher), index, self.contrast(index))
        return loss
