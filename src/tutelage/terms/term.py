"""A term: one thing the student is asked to match."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
import torch.nn as nn
from torch import Tensor

from tutelage.terms.kept import Kept

LOGITS = "logits"
"""The reserved tap name of a network's output."""

IMAGE_GRADIENT = "image_gradient"
"""The reserved tap name of J = ∂(Σ CE over the batch)/∂(image in [0, 1]), (B, 3, H, W)."""

MIRRORED_GRADIENT = "mirrored_gradient"
"""The same of the images mirrored left to right, mirrored back: where a symmetric network looks, it equals J."""

RESERVED = (LOGITS, IMAGE_GRADIENT, MIRRORED_GRADIENT)


class Term(nn.Module):
    """One thing the student is asked to match: taps, a target of the teacher, a match of the student, a weight.

    Args:
        name: how the term appears in metrics, for example ``at.layer3``.
        weight: the factor of the term in the loss, at the start of its stage.
        student_taps: what is read from the student, handed to the connector, and its output to ``match``.
        teacher_taps: what is read from the teacher and handed to ``target``; none where the student is its own measure.
        target: keeps of the teacher's features the smallest tensor that the loss needs.
        match: the unweighted loss of the student's features against that target, a scalar.
        connector: adapts the student's feature before the match (one tap only); the student's where there is none.
        final_weight: the factor at the end of the stage, reached linearly; ``weight`` throughout where it is None.
        kept: what a cache has to know of the target; None for one that cannot be stored, because it is no function of
            the sample alone, or too large to be worth it.
    """

    def __init__(
        self,
        name: str,
        weight: float,
        student_taps: tuple[str, ...],
        teacher_taps: tuple[str, ...],
        target: Callable[..., Tensor],
        match: Callable[..., Tensor],
        connector: nn.Module | None = None,
        final_weight: float | None = None,
        kept: Kept | None = None,
    ) -> None:
        super().__init__()
        self.name = name
        self.weight = weight
        self.final_weight = weight if final_weight is None else final_weight
        self.student_taps = student_taps
        self.teacher_taps = teacher_taps
        self.kept = kept
        self._target = target
        self._match = match
        self.connector = connector if connector is not None else nn.Identity()

    def weight_at(self, progress: float) -> float:
        """Returns the factor of the term at ``progress`` of the stage, from 0 to 1."""
        return self.weight + (self.final_weight - self.weight) * progress

    def target(self, features: Mapping[str, Tensor]) -> Tensor:
        """Returns what this term keeps of the teacher's ``features``, detached."""
        with torch.no_grad():
            return self._target(*(features[tap] for tap in self.teacher_taps))

    def forward(self, features: Mapping[str, Tensor], target: Tensor) -> Tensor:
        """Returns the unweighted loss, a scalar, of the student's ``features`` against ``target``."""
        adapted = (self.connector(features[tap]) for tap in self.student_taps)
        return self._match(*adapted, target)
