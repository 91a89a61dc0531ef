"""Hao et al. 2023: -sum_k [(p_t + 1_y)^eps - 1_y] log p_s."""

from __future__ import annotations

import math

from oracles.kd import soften
from oracles.maps import mean


def ofa(
    student: list[list[float]],
    teacher: list[list[float]],
    labels: list[int],
    eps: float = 1.0,
    temperature: float = 1.0,
) -> float:
    samples = []
    for s, t, label in zip(student, teacher, labels, strict=True):
        p_s, p_t = soften(s, temperature), soften(t, temperature)
        total = 0.0
        for k in range(len(s)):
            is_label = 1.0 if k == label else 0.0
            total -= ((p_t[k] + is_label) ** eps - is_label) * math.log(p_s[k])
        samples.append(total)
    return mean(samples)
