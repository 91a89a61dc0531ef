"""Terms: the parts of a distillation loss."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
import torch.nn as nn
from torch import Tensor

from tutelage.terms.kept import Kept


class Term(nn.Module):
    """Part of the loss in which the student matches the teacher: taps, target, loss and weight.

    Taps are names of modules, as ``tutelage inspect`` lists them, or reserved taps (``LOGITS``, ``ComputedTap``).

    Args:
        name: Name in metrics, for example ``at.layer3``.
        weight: Weight of the term in the loss at the start of its stage.
        student_taps: Taps of the student. Their features pass through the connector to ``match``.
        teacher_taps: Taps of the teacher, whose features are passed to ``target``. Empty if the term needs no teacher.
        target: Function of the teacher's features that returns the smallest tensor the loss needs.
        match: Function of the student's features and the target that returns the unweighted loss, a scalar.
        connector: Module applied to each of the student's features before ``match``. None for the identity.
        final_weight: Weight at the end of the stage, reached linearly. None for ``weight``.
        kept: Description of the target for the target cache. None if the target is not a function of the sample alone,
            or too large to be worth storing.

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
        """Return the weight at ``progress``, the completed fraction of the stage."""
        return self.weight + (self.final_weight - self.weight) * progress

    def target(self, features: Mapping[str, Tensor]) -> Tensor:
        """Return the target for the teacher's ``features``, detached."""
        with torch.no_grad():
            return self._target(*(features[tap] for tap in self.teacher_taps))

    def forward(self, features: Mapping[str, Tensor], target: Tensor) -> Tensor:
        """Return the unweighted loss between the student's ``features`` and ``target``, a scalar."""
        adapted = (self.connector(features[tap]) for tap in self.student_taps)
        return self._match(*adapted, target)
