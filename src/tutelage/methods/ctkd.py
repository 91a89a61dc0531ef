"""Curriculum temperature for knowledge distillation (CTKD)."""

from __future__ import annotations

from functools import partial
from typing import ClassVar

import torch.nn as nn
from pydantic import Field
from torch import Tensor

from tutelage.connectors import GlobalTemperature
from tutelage.losses import ctkd_loss, ctkd_strength
from tutelage.methods.base import METHODS, Group, Method, Pair
from tutelage.methods.logits import term_on_logits
from tutelage.terms import EPOCH, Stage


@METHODS.register("ctkd")
class CTKD(Method):
    """Curriculum temperature: ce·CE + w·T²·KL(p_t‖p_s), with a temperature T that learns to make the task harder.

    T = 1 + 20·sigmoid(θ), with θ = 1 at the start (T = 15.6). The gradient of θ is multiplied by λ, which falls from 0
    to −1 along half a cosine over the first epochs. Li et al., "Curriculum Temperature for Knowledge Distillation",
    AAAI 2023 (arXiv:2211.16231).

    The defaults are the authors'. This is their global temperature, the only one in their code; the paper also has one
    for each sample.

    Example:
        >>> CTKD(curriculum=20).weight
        0.9
    """

    group: ClassVar[Group] = "logits"
    matches: ClassVar[str] = "outputs, learned T"

    weight: float = Field(0.9, ge=0, description="w")
    ce: float = Field(0.1, ge=0, description="weight of CE")
    curriculum: int = Field(10, ge=1, description="epochs in which λ goes from start to end")
    start: float = Field(0.0, description="λ at the start")
    end: float = Field(-1.0, description="λ after the curriculum")
    standardize: bool = Field(False, description="compare standardized logits")

    def stages(self, pair: Pair) -> list[Stage]:
        """Return one stage with one term."""
        strength = partial(ctkd_strength, epochs=self.curriculum, start=self.start, end=self.end)
        term = term_on_logits("ctkd", self.weight, pair, LearnedTemperature(strength, self.standardize), EPOCH)
        return [Stage("train", pair.epochs, (term,), task_weight=self.ce)]


class LearnedTemperature(nn.Module):
    """The CTKD loss with its learned temperature; ``strength`` maps the epoch, from 1, to λ."""

    def __init__(self, strength: partial[float], standardize: bool) -> None:
        super().__init__()
        self.strength = strength
        self.standardize = standardize
        self.temperature = GlobalTemperature()

    def forward(self, student: Tensor, teacher: Tensor, epoch: Tensor) -> Tensor:
        temperature = self.temperature(self.strength(epoch.item() + 1))
        return ctkd_loss(student, teacher, temperature, standardize=self.standardize)
