"""Yang et al. 2023, as in their code: target, non-target and weak losses of one label per sample."""

from __future__ import annotations

import math

from oracles.kd import soften
from oracles.maps import mean


def uskd(
    student: list[list[float]], weak: list[list[float]], labels: list[int], alpha: float, beta: float, mu: float
) -> float:
    average = mean([soften(z, 1.0)[y] ** 2 for z, y in zip(student, labels, strict=True)])
    samples = []
    for z, v, y in zip(student, weak, labels, strict=True):
        s, w = soften(z, 1.0), soften(v, 1.0)
        target = -(s[y] ** 2 + 1 - average) * math.log(s[y])
        scores = [w[k] / (1 - w[y] + 1e-6) + math.log(s[k]) / (1 - math.log(s[y]) + 1e-6) for k in range(len(z))]
        ranked = sorted(range(len(z)), key=lambda k: -scores[k])
        inverse = {k: 1 / (place + 1) for place, k in enumerate(ranked) if k != y}
        non_target = -sum(value / sum(inverse.values()) * math.log(s[k] / (1 - s[y])) for k, value in inverse.items())
        smoothed = [0.9 * (k == y) + 0.1 / len(z) for k in range(len(z))]
        of_weak = -sum(share * math.log(p) for share, p in zip(smoothed, w, strict=True))
        samples.append(alpha * target + beta * non_target + mu * of_weak)
    return mean(samples)
