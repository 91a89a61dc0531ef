"""Published methods, one a file: each makes terms and stages of a probed teacher and student."""

from tutelage.methods import at, fitnets, kd, none
from tutelage.methods.base import METHODS, Method, Pair
from tutelage.methods.combine import parse, plan

__all__ = ["METHODS", "Method", "Pair", "at", "fitnets", "kd", "list_methods", "none", "parse", "plan"]


def list_methods() -> list[str]:
    """Returns the names of the registered methods."""
    return list(METHODS)
