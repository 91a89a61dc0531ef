"""Chen et al. 2022: 1 − ⟨g(s), t⟩ / (‖g(s)‖ ‖t‖)."""

from __future__ import annotations

from oracles.maps import dot, mean, unit


def pefd(student: list[list[float]], teacher: list[list[float]]) -> float:
    return mean([1 - dot(unit(s), unit(t)) for s, t in zip(student, teacher, strict=True)])
