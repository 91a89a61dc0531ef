"""Knowledge distillation by softened outputs."""

from __future__ import annotations

from functools import partial

from pydantic import Field

from tutelage.losses import kd_match, kd_target
from tutelage.methods.base import METHODS, Method, Pair
from tutelage.terms import LOGITS, Stage, Term


def logits_term(weight: float, temperature: float) -> Term:
    """Returns the term ``kd``: weight · T²·KL(p_t‖p_s) between the softened outputs of teacher and student."""
    return Term("kd", weight, (LOGITS,), (LOGITS,), kd_target, partial(kd_match, temperature=temperature))


@METHODS.register("kd")
class KD(Method):
    """Knowledge distillation: (1 − α)·CE + α·T²·KL(p_t‖p_s), with p = softmax(z / T), mean over the batch.

    Hinton, Vinyals, Dean: Distilling the Knowledge in a Neural Network, 2015 (arXiv:1503.02531). T = 4 and α = 0.9 as
    in the code of Attention Transfer; α is the weight of KL (torchdistill's α is that of CE).
    """

    temperature: float = Field(4.0, gt=0)
    alpha: float = Field(0.9, ge=0, le=1)

    def stages(self, pair: Pair) -> list[Stage]:
        """Returns one stage."""
        return [Stage("train", pair.epochs, (logits_term(self.alpha, self.temperature),), task_weight=1 - self.alpha)]
