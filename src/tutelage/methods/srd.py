"""Simple recipe distillation (SRD): a linear projector, normalization over the batch, and a soft maximum."""

from __future__ import annotations

from functools import partial
from typing import ClassVar

import torch.nn as nn
from pydantic import Field

from tutelage.losses import srd_match
from tutelage.methods.base import METHODS, Group, Method, Pair
from tutelage.methods.embeddings import term_on_embeddings, widths
from tutelage.methods.kd import logits_term
from tutelage.terms import Stage


@METHODS.register("srd")
class SRD(Method):
    """Simple recipe distillation: CE + w·log Σ abs(n(r(e_s)) − n(e_t))^p + KL(p_t‖p_s), beside KL on the outputs.

    r is a linear layer and n batch normalization without weight and bias; the sum is over batch and features. Miles and
    Mikolajczyk, "Understanding the Role of the Projector in Knowledge Distillation", AAAI 2024
    (doi:10.1609/aaai.v38i5.28219).

    The defaults are the authors': w = 2, p = 4, and KL at T = 1. Here r is trained. In their code, it lies inside the
    loss object.

    Example:
        >>> SRD(kd_weight=0).exponent
        4.0
    """

    group: ClassVar[Group] = "embeddings"
    matches: ClassVar[str] = "normalized embedding"

    weight: float = Field(2.0, ge=0, description="w")
    exponent: float = Field(4.0, ge=1, description="p")
    kd_weight: float = Field(1.0, ge=0, description="weight of KL; 0 leaves it out, and needs no equal classes")
    temperature: float = Field(1.0, gt=0, description="T of KL")

    def stages(self, pair: Pair) -> list[Stage]:
        """Return one stage with the term on embeddings and the KD term."""
        match = partial(srd_match, exponent=self.exponent)
        terms = [term_on_embeddings("srd", self.weight, match, nn.Linear(*widths(pair)), relational=True)]
        if self.kd_weight > 0:
            terms.append(logits_term(pair, self.kd_weight, self.temperature))
        return [Stage("train", pair.epochs, tuple(terms))]
