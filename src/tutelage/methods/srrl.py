"""Softmax regression representation learning (SRRL)."""

from __future__ import annotations

from typing import ClassVar

import torch.nn as nn
from pydantic import Field
from torch import Tensor

from tutelage.connectors import FrozenClassifier, srrl_connector
from tutelage.errors import TutelageError
from tutelage.losses import srrl_match
from tutelage.methods.base import METHODS, Group, Method, Pair
from tutelage.terms import EMBEDDING, Kept, Stage, Term


@METHODS.register("srrl")
class SRRL(Method):
    """Softmax regression representation learning: CE + w·(mean (e_s − e_t)² + v·mean (c(e_s) − c(e_t))²).

    e_t is the teacher's embedding, c the teacher's classifier, and e_s the student's last map behind a connector (1×1
    convolution, batch normalization, ReLU), averaged over its positions. Yang et al., "Knowledge Distillation via
    Softmax Regression Representation Learning", ICLR 2021.

    The defaults are the authors'. Their student is trained on its own classifier too, as here.

    Example:
        >>> SRRL(logits_weight=2).weight
        1.0
    """

    group: ClassVar[Group] = "embeddings"
    matches: ClassVar[str] = "embedding and its logits"

    weight: float = Field(1.0, ge=0, description="w")
    logits_weight: float = Field(1.0, ge=0, description="v, weight of what the teacher's classifier makes of both")
    tap: str | None = Field(None, description="the student's map; its last level where not given")

    def stages(self, pair: Pair) -> list[Stage]:
        """Return one stage with one term."""
        assert pair.teacher is not None
        tap = self.tap or pair.student.levels[-1].name
        channels, *size = pair.student.shape(tap)
        if len(size) != 2:
            raise TutelageError(f"srrl.tap: the student's '{tap}' reads no map (C, H, W): name a layer that does")
        (width,) = pair.teacher.shape(EMBEDDING)
        term = Term(
            "srrl",
            self.weight,
            (tap,),
            (EMBEDDING,),
            lambda embedding: embedding,
            _Match(FrozenClassifier(pair.teacher.classifier), self.logits_weight),
            srrl_connector(channels, width),
            kept=Kept.of("embedding", "embedding"),
        )
        return [Stage("train", pair.epochs, (term,))]


class _Match(nn.Module):
    """``srrl_match`` with the teacher's classifier."""

    def __init__(self, classifier: FrozenClassifier, logits_weight: float) -> None:
        super().__init__()
        self.classifier = classifier
        self.logits_weight = logits_weight

    def forward(self, student: Tensor, target: Tensor) -> Tensor:
        return srrl_match(student, target, self.classifier, weight=self.logits_weight)
