"""Baseline: the student alone."""

from __future__ import annotations

from typing import ClassVar

from tutelage.methods.base import METHODS, Method, Pair
from tutelage.terms import Stage


@METHODS.register("none")
class Alone(Method):
    """Baseline: the student alone, trained on the cross-entropy in the same loop as with every method.

    Example:
        >>> Alone().needs_teacher
        False
    """

    matches: ClassVar[str] = "nothing: the baseline"

    @property
    def needs_teacher(self) -> bool:
        """Whether the method needs a teacher; always False."""
        return False

    def stages(self, pair: Pair) -> list[Stage]:
        """Return one stage without terms."""
        return [Stage("train", pair.epochs)]
