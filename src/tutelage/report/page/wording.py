"""Format numbers and lists for text."""

from __future__ import annotations


def signed(points: float, digits: int = 2) -> str:
    """Return a difference with its sign, using a true minus sign."""
    text = f"{points:+.{digits}f}"
    return text.replace("-", "−") if float(text) else text[1:]


def chance(p: float) -> str:
    """Return the p-value of a test as text."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def plural(number: int, thing: str) -> str:
    """Return ``1 epoch``, ``2 epochs``."""
    return f"{number:,} {thing}" + ("" if number == 1 else "s")


def listed(names: list[str]) -> str:
    """Return ``a``, ``a and b``, or ``a, b and c``."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
