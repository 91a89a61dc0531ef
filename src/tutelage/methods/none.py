"""The student alone."""

from __future__ import annotations

from tutelage.methods.base import METHODS, Method, Pair
from tutelage.terms import Stage


@METHODS.register("none")
class Alone(Method):
    """The student alone: cross-entropy with the labels, in the same loop as every method (the baseline to beat).

    Example:
        >>> Alone().needs_teacher
        False
    """

    @property
    def needs_teacher(self) -> bool:
        """Whether the method needs a teacher: it does not."""
        return False

    def stages(self, pair: Pair) -> list[Stage]:
        """Return one stage without terms."""
        return [Stage("train", pair.epochs)]
