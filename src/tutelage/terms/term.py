"""A term: one thing the student has to match."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
import torch.nn as nn
from torch import Tensor

from tutelage.terms.kept import Kept


class Term(nn.Module):
    """One thing the student has to match: its taps, the teacher's target, a loss, and a weight.

    Taps are names of modules, as ``tutelage inspect`` lists them, or reserved ones (``LOGITS``,
    :class:`ComputedTap`).

    Args:
        name: the term's name in metrics, for example ``at.layer3``.
        weight: the factor of the term in the loss, at the start of its stage.
        student_taps: read from the student, passed through the connector and then to ``match``.
        teacher_taps: read from the teacher and passed to ``target``; empty for a term that needs no teacher.
        target: returns the smallest tensor that the loss needs of the teacher's features.
        match: returns the unweighted loss of the student's features against that target, a scalar.
        connector: adapts each of the student's features before the match; the identity by default.
        final_weight: the factor at the end of the stage, reached linearly; ``weight`` by default.
        kept: describes the target to a cache; None for a target that cannot be stored, because it is not a function of
            the sample alone, or is too large to be worth it.

    Example:
        >>> from torch.nn.functional import mse_loss
        >>> term = Term("hint", 2.0, ("layer2",), ("block2",), lambda feature: feature, mse_loss, final_weight=1.0)
        >>> target = term.target({"block2": torch.ones(4)})
        >>> term({"layer2": torch.zeros(4)}, target)
        tensor(1.)
        >>> term.weight_at(progress=0.5)
        1.5
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
        """Return the factor of the term at ``progress`` of the stage, from 0 to 1."""
        return self.weight + (self.final_weight - self.weight) * progress

    def target(self, features: Mapping[str, Tensor]) -> Tensor:
        """Return the target that this term computes from the teacher's ``features``, detached."""
        with torch.no_grad():
            return self._target(*(features[tap] for tap in self.teacher_taps))

    def forward(self, features: Mapping[str, Tensor], target: Tensor) -> Tensor:
        """Return the unweighted loss, a scalar, of the student's ``features`` against ``target``."""
        adapted = (self.connector(features[tap]) for tap in self.student_taps)
        return self._match(*adapted, target)
