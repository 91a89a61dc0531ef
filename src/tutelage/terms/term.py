"""Terms: the parts of a distillation loss."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn as nn
from torch import Tensor

from tutelage.terms.gathering import gathered
from tutelage.terms.kept import Kept
from tutelage.terms.reserved import BATCH, LABELS, ComputedTap
from tutelage.terms.weighting import Weighting, epoch_at

Target = Tensor | tuple[Tensor, ...]


class Term(nn.Module):
    """Part of the loss in which the student matches the teacher: taps, target, loss and weight.

    Taps are names of modules, as ``tutelage inspect`` lists them, or reserved taps (``LOGITS``, ``ComputedTap``).

    Args:
        name: Name in metrics, for example ``at.layer3``.
        weight: Weight of the term in the loss at the start of its stage.
        student_taps: Taps of the student. Their features pass through the connector to ``match``. Taps of the batch
            (``LABELS``, ``INDEX``, ``EPOCH``) are listed here too, and are passed to ``match`` after the target.
        teacher_taps: Taps of the teacher, whose features are passed to ``target``. Empty if the term needs no teacher.
        target: Function of the teacher's features that returns the smallest tensor, or tensors, that the loss needs. If
            it is a module, the term trains its parameters only where they require gradients.
        match: Function of the student's features, the target and the values of the batch that returns the unweighted
            loss, a scalar. If it is a module, it is trained with the student.
        connector: Module that receives the student's features, one argument per tap, and returns what ``match``
            receives: a tensor or a tuple of tensors. None to pass the features on.
        final_weight: Weight at the end of the stage, reached linearly. None for ``weight``.
        kept: Description of the target for the target cache. None if the target is not a function of the sample alone,
            or too large to be worth storing.
        weighting: Factor of the weight by epoch. None for 1.
        relational: Whether the loss relates the samples of a batch to each other. Several processes then share their
            batches, so that the loss is that of the whole batch.

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
        target: Callable[..., Target],
        match: Callable[..., Tensor],
        connector: nn.Module | None = None,
        final_weight: float | None = None,
        kept: Kept | None = None,
        weighting: Weighting | None = None,
        relational: bool = False,
    ) -> None:
        super().__init__()
        self.name = name
        self.weight = weight
        self.final_weight = weight if final_weight is None else final_weight
        self.student_taps = student_taps
        self.teacher_taps = teacher_taps
        self.kept = kept
        self.weighting = weighting
        self.relational = relational
        self._target = target
        self._match = match
        self.connector = connector if connector is not None else Unchanged()

    @property
    def needs_labels(self) -> bool:
        """Whether the term reads the labels, which must then be class numbers, not soft labels."""
        read = (*self.student_taps, *self.teacher_taps)
        return LABELS in read or any(tap.needs_labels for tap in read if isinstance(tap, ComputedTap))

    def weight_at(self, progress: float, epochs: int = 1) -> float:
        """Return the weight at ``progress``, the completed fraction of the stage of ``epochs``."""
        weight = self.weight + (self.final_weight - self.weight) * progress
        return weight if self.weighting is None else weight * self.weighting(epoch_at(progress, epochs), epochs)

    def target(self, features: Mapping[str, Tensor]) -> Target:
        """Return the target for the teacher's ``features``, detached."""
        with torch.no_grad():
            return self._target(*(features[tap] for tap in self.teacher_taps))

    def forward(self, features: Mapping[str, Tensor], target: Target) -> Tensor:
        """Return the unweighted loss between the student's ``features`` and ``target``, a scalar.

        Args:
            features: Features of the student, and the values of the batch, by tap.
            target: Result of ``target`` for the same samples.
        """
        adapted = self.connector(*(features[tap] for tap in self.student_taps if tap not in BATCH))
        adapted = adapted if isinstance(adapted, tuple) else (adapted,)
        batch = tuple(features[tap] for tap in self.student_taps if tap in BATCH)
        if self.relational:
            adapted, target, batch = (_gathered(value) for value in (adapted, target, batch))
        return self._match(*adapted, target, *batch)


class Unchanged(nn.Module):
    """The connector of a term that needs none: returns its arguments."""

    def forward(self, *features: Tensor) -> tuple[Tensor, ...]:
        return features


def _gathered(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(map(_gathered, value))
    return gathered(value) if value.ndim else value  # the epoch is that of every process
