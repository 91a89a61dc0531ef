"""Simple knowledge distillation with the reused teacher classifier (SimKD)."""

from __future__ import annotations

from functools import partial
from typing import ClassVar

import torch
import torch.nn as nn
from pydantic import Field
from torch import Tensor

from tutelage.errors import TutelageError
from tutelage.losses import simkd_match, simkd_target
from tutelage.methods.base import METHODS, Group, Method, Pair
from tutelage.models import Extension, Insertion, find_heads
from tutelage.taps import Probe
from tutelage.terms import LOGITS, Kept, Stage, Term


@METHODS.register("simkd")
class SimKD(Method):
    """Reused teacher classifier: w · mean (P(F_s) − F_t)²; P and the teacher's classifier are deployed.

    F is the last map, and P a projector to the teacher's channels: 1×1, 3×3 and 1×1 convolutions, each with batch
    normalization and a ReLU. The student classifies the mean of P(F_s) with the teacher's classifier, which stays
    frozen. No labels are needed. Chen et al., "Knowledge Distillation with the Reused Teacher Classifier", CVPR 2022
    (arXiv:2203.14001).

    * The defaults are the authors': the error of the maps alone, and an inner width of half the teacher's channels.
    * The larger map is average-pooled. The authors' pooling expects square maps.

    Example:
        >>> SimKD(factor=4).weight
        1.0
    """

    group: ClassVar[Group] = "maps"
    matches: ClassVar[str] = "the last map"
    deploys: ClassVar[str] = "its projector and the teacher's classifier"

    weight: float = Field(1.0, ge=0, description="w")
    ce: float = Field(0.0, ge=0, description="weight of the cross-entropy; in a sum with kd, kd.ce replaces it")
    factor: int = Field(2, ge=1, description="the inner width of the projector is the teacher's channels over this")

    def deployed(self, pair: Pair) -> nn.Module:
        """Return the student with the projector after its last map, and with the teacher's classifier."""
        assert pair.teacher is not None
        tap, classifier = _averaged_map(pair.teacher, "teacher"), pair.teacher.classifier
        _averaged_map(pair.student, "student")
        classes = classifier.weight.shape[0]
        if classes != pair.classes:
            raise TutelageError(
                f"simkd deploys the teacher's classifier, which has {classes} classes instead of {pair.classes}; "
                f"fine-tune the teacher first (teacher.finetune=head or full)"
            )
        channels, height, width = pair.teacher.shape(tap)
        last = pair.student.last_map_module
        projector = Insertion(
            after=last,
            part="simkd_projector",
            arguments={
                "inputs": pair.student.shape(last)[0],
                "outputs": channels,
                "size": (height, width),
                "factor": self.factor,
            },
        )
        bias = classifier.bias
        network = pair.extended(Extension(inserted=(projector,), features=channels, bias=bias is not None), "simkd")
        own = Probe(network, pair.student.input_size).classifier
        with torch.no_grad():
            own.weight.copy_(classifier.weight.reshape(own.weight.shape))
            if own.bias is not None and bias is not None:
                own.bias.copy_(bias)
        return network

    def stages(self, pair: Pair) -> list[Stage]:
        """Return one stage with one term, in which the classifier is frozen."""
        assert pair.teacher is not None
        theirs, ours = pair.teacher.last_map, pair.student.last_map
        size = pair.common_size(theirs, ours)
        term = Term(
            "simkd",
            self.weight,
            # The logits, because the student can be evaluated at all times, and classifies as the teacher does.
            (ours, LOGITS),
            (theirs, LOGITS),
            partial(_target, size=size),
            _match,
            kept=Kept.of("features", "map", theirs, size=size),
        )
        return [Stage("train", pair.epochs, (term,), self.ce, frozen=tuple(find_heads(pair.student.model)))]


def _averaged_map(probe: Probe, role: str) -> str:
    tap = probe.last_map
    if not probe.averages(tap):
        raise TutelageError(
            f"simkd needs a {role} that only averages its last map ('{tap}') before its linear classifier, and this "
            f"{type(probe.model).__name__} computes more; use another {role}, or another method such as method=srrl"
        )
    return tap


def _target(features: Tensor, logits: Tensor, size: tuple[int, int]) -> Tensor:
    return simkd_target(features, size)


def _match(features: Tensor, logits: Tensor, target: Tensor) -> Tensor:
    return simkd_match(features, target)
