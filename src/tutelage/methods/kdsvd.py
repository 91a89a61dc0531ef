"""Distillation of singular vectors (KDSVD)."""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from typing import ClassVar

import torch.nn as nn
from pydantic import Field
from torch import Tensor

from tutelage.connectors import adapter
from tutelage.errors import TutelageError
from tutelage.losses import kdsvd_match, kdsvd_target
from tutelage.methods.base import METHODS, Group, Method, Pair
from tutelage.terms import Stage, Term


@METHODS.register("kdsvd")
class KDSVD(Method):
    """Distillation of singular vectors: CE + w·Σ_layers Σ_cd (R^s_cd − R^t_cd)², how consecutive layers relate.

    R_cd = exp(−(v_c − u_d)² / 8), averaged over the batch and summed over k, with the leading singular vectors v and u
    over the channels of a level and the one before it. Lee, Kim and Song, "Self-supervised Knowledge Distillation Using
    Singular Value Decomposition", ECCV 2018 (arXiv:1807.06819).

    w = 1 and k = 1 are those of RepDistiller, which needs equal channels. Here a 1×1 convolution with batch
    normalization brings the student's map to the teacher's channels where they differ.

    Example:
        >>> KDSVD(k=2).weight
        1.0
    """

    group: ClassVar[Group] = "maps"
    matches: ClassVar[str] = "singular vectors"

    weight: float = Field(1.0, ge=0, description="w")
    k: int = Field(1, ge=1, description="number of singular vectors")
    taps: dict[str, str] | None = Field(None, description="teacher tap: student tap, shallow to deep, two or more")

    def stages(self, pair: Pair) -> list[Stage]:
        """Return one stage with one term, in which the connector of a level serves both its pairs."""
        pairs = pair.taps(self.taps, "kdsvd")
        if len(pairs) < 2:
            raise TutelageError("kdsvd compares how two levels relate, and there is one: name two pairs in kdsvd.taps")
        theirs, ours = zip(*pairs)
        shapes = [pair.shapes(*taps) for taps in pairs]
        connectors = _Each(adapter(student, teacher, relu=False) for teacher, student in shapes)
        term = Term("kdsvd", self.weight, ours, theirs, partial(_target, k=self.k), _match, connectors)
        return [Stage("train", pair.epochs, (term,))]


class _Each(nn.ModuleList):
    """A connector for each tap."""

    def forward(self, *features: Tensor) -> tuple[Tensor, ...]:
        return tuple(connector(feature) for connector, feature in zip(self, features))


def _target(*features: Tensor, k: int) -> tuple[Tensor, ...]:
    return tuple(kdsvd_target(feature, k=k) for feature in features)


def _match(*features_and_targets: Tensor) -> Tensor:
    *features, targets = features_and_targets
    layers = pairwise(zip(features, targets))
    return sum((kdsvd_match(a, b, t_a, t_b) for (a, t_a), (b, t_b) in layers), start=targets[0].new_zeros(()))
