"""Wasserstein distance between the class probabilities (WKD-L)."""

from __future__ import annotations

from typing import ClassVar

import torch.nn as nn
from pydantic import Field
from torch import Tensor

from tutelage.errors import TutelageError
from tutelage.losses import target_class_loss, wkd_l_cost, wkd_l_transport_loss
from tutelage.methods.base import METHODS, Group, Method, Pair
from tutelage.methods.logits import term_on_logits
from tutelage.terms import LABELS, CosineDecay, Stage


@METHODS.register("wkd_l")
class WKDL(Method):
    """WKD-L: CE − p_t[y]·log p_s[y] + w·W(q_s, q_t), a Wasserstein distance over the classes other than the label.

    q is the softmax of z / T over the classes other than the label y. Moving probability from class j to k costs
    1 − exp(−κ·(1 − cos(W_j, W_k))), with the rows of the teacher's classifier. The distance is computed with Sinkhorn
    iterations. Lv et al., "Wasserstein Distance Rivals Kullback-Leibler Divergence for Knowledge Distillation", NeurIPS
    2024 (arXiv:2412.08139).

    * The defaults are the authors' for CIFAR-100. For ResNet-32x4 and ResNet-8x4, they set w = 600 and T = 8; for
      ImageNet, w = 30 and T = 2.
    * w falls to 0 by a cosine from epoch 150 of 240 on (``decay_from``); the middle term keeps its weight.
    * The authors also measure the similarity of classes by the CKA of their logits; here it is the cosine of the
      classifier's rows.

    Example:
        >>> WKDL(weight=600, temperature=8).iterations
        10
    """

    group: ClassVar[Group] = "logits"
    matches: ClassVar[str] = "outputs by class distance"
    single_samples: ClassVar[bool] = True

    weight: float = Field(200.0, ge=0, description="w")
    temperature: float = Field(6.0, gt=0, description="T")
    sharpen: float = Field(1.0, ge=0, description="κ; 0: the cost is 1 − cos")
    reg: float = Field(0.05, gt=0, description="weight of the entropy in the Sinkhorn iterations")
    iterations: int = Field(10, ge=1, description="number of Sinkhorn iterations")
    decay_from: float = Field(0.625, ge=0, lt=1, description="share of the epochs after which w falls to 0")

    def stages(self, pair: Pair) -> list[Stage]:
        """Return one stage with two terms."""
        assert pair.teacher is not None
        if pair.teachers > 1:
            raise TutelageError(
                "method=wkd_l compares classes by the teacher's classifier, and several teachers have one each; "
                "set one teacher, or another method such as method=kd"
            )
        rows = pair.teacher.classifier.get_parameter("weight").flatten(1)
        cost = wkd_l_cost(rows, sharpen=self.sharpen)
        transport = Transport(cost, self.temperature, self.reg, self.iterations)
        terms = (
            term_on_logits("wkd_l.label", 1.0, pair, target_class_loss, LABELS),
            term_on_logits("wkd_l", self.weight, pair, transport, LABELS, weighting=CosineDecay(self.decay_from)),
        )
        return [Stage("train", pair.epochs, terms)]


class Transport(nn.Module):
    """The Wasserstein distance, with a cost (K, K) that moves with the term but is not part of its state."""

    cost: Tensor

    def __init__(self, cost: Tensor, temperature: float, reg: float, iterations: int) -> None:
        super().__init__()
        self.register_buffer("cost", cost, persistent=False)
        self.temperature = temperature
        self.reg = reg
        self.iterations = iterations

    def forward(self, student: Tensor, teacher: Tensor, labels: Tensor) -> Tensor:
        return wkd_l_transport_loss(
            student,
            teacher,
            labels,
            cost=self.cost,
            temperature=self.temperature,
            reg=self.reg,
            iterations=self.iterations,
        )
