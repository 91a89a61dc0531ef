"""Generalized Kullback-Leibler divergence (GKL), and its earlier version (IKL)."""

from __future__ import annotations

from functools import partial
from typing import ClassVar, Literal, cast

import torch.nn as nn
from pydantic import Field
from torch import Tensor

from tutelage.connectors import ClassMeans
from tutelage.losses import gkl_loss
from tutelage.methods.base import METHODS, Group, Method, Pair
from tutelage.methods.logits import term_on_logits
from tutelage.terms import EPOCH, LABELS, Stage, WarmUp


@METHODS.register("gkl")
class GKL(Method):
    """Generalized KL: CE + α·soft cross-entropy + β/4·weighted squared error of the logits' differences.

    The soft cross-entropy is −Σ p_t·log p_s with p = softmax(z / T). The error is Σ_jk w_j·w_k·(d_j − d_k)² / Σ_jk
    w_j·w_k, with d = z_t − z_s, both sums over the batch. w is the γ-th power of the teacher's mean probabilities
    for the label's class in the epoch before, uniform in the first, or with ``weights=sample`` of its probabilities
    for the sample. Cui et al., "Decoupled Kullback-Leibler Divergence Loss", NeurIPS 2024 (arXiv:2305.13948), and
    "Generalized Kullback-Leibler Divergence Loss", 2025 (arXiv:2503.08038).

    * ``version=1`` is IKL, the loss of the first paper: γ = 1, and the error is divided by the number of samples.
    * The defaults are the authors' for version 2 on CIFAR-100. The double sum is computed in closed form; the authors'
      code builds tensors of shape (B, K, K).
    * The sums run over the batch, so several processes share their batches and ``accumulate`` is refused.

    Example:
        >>> GKL(gamma=0.5).version
        2
    """

    group: ClassVar[Group] = "logits"
    matches: ClassVar[str] = "differences of logits"
    single_samples: ClassVar[bool] = True

    alpha: float = Field(1.0, ge=0, description="α, weight of the soft cross-entropy")
    beta: float = Field(16.0, ge=0, description="β, weight of the squared error")
    gamma: float = Field(0.05, ge=0, description="γ, exponent of the weights; version=2 only")
    weights: Literal["class", "sample"] = Field("class", description="whose probabilities weight the error")
    temperature: float = Field(4.0, gt=0, description="T of the soft cross-entropy")
    mean_temperature: float = Field(4.0, gt=0, description="temperature of the weights")
    version: int = Field(2, ge=1, le=2, description="2: GKL; 1: IKL")
    warmup: int = Field(20, ge=0, description="epochs over which both weights rise linearly")

    def stages(self, pair: Pair) -> list[Stage]:
        """Return one stage with one term."""
        loss = partial(
            gkl_loss,
            alpha=self.alpha,
            beta=self.beta,
            gamma=self.gamma,
            temperature=self.temperature,
            version=cast(Literal[1, 2], self.version),
        )
        on = partial(term_on_logits, "gkl", 1.0, pair, weighting=WarmUp(self.warmup), relational=True)
        if self.weights == "class":
            term = on(WeightedByClass(loss, pair.classes, self.mean_temperature), LABELS, EPOCH)
        else:
            term = on(partial(loss, weight_temperature=self.mean_temperature), LABELS)
        return [Stage("train", pair.epochs, (term,))]


class WeightedByClass(nn.Module):
    """The GKL loss with the class means of the epoch before, which it collects while it trains."""

    def __init__(self, loss: partial[Tensor], classes: int, temperature: float) -> None:
        super().__init__()
        self.loss = loss
        self.temperature = temperature
        self.bank = ClassMeans(classes)

    def forward(self, student: Tensor, teacher: Tensor, labels: Tensor, epoch: Tensor) -> Tensor:
        if self.training:
            self.bank.advance(epoch)
            self.bank.add(teacher, labels, self.temperature)
        return self.loss(student, teacher, labels, class_means=self.bank.means)
