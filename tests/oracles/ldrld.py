"""Xu et al. 2025: pairs of the student's best classes, all of them together, and the rest."""

from __future__ import annotations

import math

from oracles.kd import divergence, soften
from oracles.maps import mean


def ldrld(
    student: list[list[float]],
    teacher: list[list[float]],
    alpha: float = 10.5,
    beta: float = 7.0,
    k: int = 7,
    temperature: float = 4.0,
) -> float:
    samples = []
    for z_s, z_t in zip(student, teacher, strict=True):

        def within(classes: list[int], z_s: list[float] = z_s, z_t: list[float] = z_t) -> float:
            q_s, q_t = soften([z_s[c] for c in classes], temperature), soften([z_t[c] for c in classes], temperature)
            return divergence(q_t, q_s)

        ranked = sorted(range(len(z_s)), key=lambda c: -z_s[c])
        local, pairs = 0.0, 0
        for i in range(1, k + 1):
            for j in range(i + 1, k + 1):
                weight = 2 * math.exp(-0.05 * (i + j)) / (1.5 + abs(i - j))
                local += weight * within([ranked[i - 1], ranked[j - 1]])
                pairs += 1
        if k > 2:  # two classes are a pair already
            local = (local + within(ranked[:k])) / (pairs + 1)
        samples.append(alpha * local + beta * within(ranked[k:]))
    return temperature**2 * mean(samples)
