"""Factors that change a term's weight from epoch to epoch."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

Weighting = Callable[[int, int], float]
"""Maps an epoch of the stage, from 0, and the stage's epochs to the factor of a term's weight."""


def epoch_at(progress: float, epochs: int) -> int:
    """Return the epoch, from 0, at ``progress``, the completed fraction of a stage of ``epochs``.

    Example:
        >>> [epoch_at(progress, epochs=4) for progress in (0.0, 0.25, 0.99, 1.0)]
        [0, 1, 3, 3]
    """
    return min(int(progress * epochs + 1e-6), epochs - 1)  # a quarter of the steps may be 0.2499…


@dataclass(frozen=True)
class WarmUp:
    """Rise to 1 over the first ``epochs``: min(1, (epoch + 1) / epochs), as in the code of DKD and ReviewKD.

    Example:
        >>> [WarmUp(20)(epoch, 240) for epoch in (0, 9, 19, 100)]
        [0.05, 0.5, 1.0, 1.0]
    """

    epochs: int

    def __call__(self, epoch: int, epochs: int) -> float:
        return min(1.0, (epoch + 1) / self.epochs) if self.epochs else 1.0

    def __str__(self) -> str:
        return f"warm-up {self.epochs}"


@dataclass(frozen=True)
class CosineDecay:
    """Stay at 1 up to the fraction ``start`` of the stage, then fall to 0 along half a cosine, as in the code of WKD.

    Example:
        >>> [round(CosineDecay(0.5)(epoch, 4), 2) for epoch in range(4)]
        [1.0, 1.0, 1.0, 0.5]
    """

    start: float

    def __call__(self, epoch: int, epochs: int) -> float:
        first = self.start * epochs
        return 1.0 if epoch < first else 0.5 * (1 + math.cos(math.pi * (epoch - first) / (epochs - first)))

    def __str__(self) -> str:
        return f"cosine from {self.start:.0%}"


@dataclass(frozen=True)
class Steps:
    """Change at fractions of the stage, as in the code of NORM.

    Args:
        fractions: Where the factor changes, ascending.
        factors: The factors, one more than there are fractions.

    Example:
        >>> [Steps((0.25, 0.75), (0.1, 1.0, 0.5))(epoch, 4) for epoch in range(4)]
        [0.1, 1.0, 1.0, 0.5]
    """

    fractions: tuple[float, ...]
    factors: tuple[float, ...]

    def __call__(self, epoch: int, epochs: int) -> float:
        return self.factors[sum(epoch >= fraction * epochs for fraction in self.fractions)]

    def __str__(self) -> str:
        return f"steps {', '.join(f'{factor:g}' for factor in self.factors)}"
