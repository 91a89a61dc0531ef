"""Peng et al. 2019: ‖ψ(F_t) − ψ(F_s)‖² / n² with ψ_ij = Σ_p exp(−2γ) (2γ)^p / p! (f_i · f_j)^p of unit vectors f."""

from __future__ import annotations

import math

from oracles.maps import dot, mean, unit


def correlations(samples: list[list[float]], gamma: float, order: int) -> list[float]:
    directions = [unit(x) for x in samples]
    values = []
    for x in directions:
        for y in directions:
            series = [(2 * gamma) ** p / math.factorial(p) * dot(x, y) ** p for p in range(order + 1)]
            values.append(math.exp(-2 * gamma) * sum(series))
    return values


def cc(student: list[list[float]], teacher: list[list[float]], gamma: float = 0.4, order: int = 2) -> float:
    psi_s, psi_t = correlations(student, gamma, order), correlations(teacher, gamma, order)
    return mean([(s - t) ** 2 for s, t in zip(psi_s, psi_t, strict=True)])
