"""Heo et al. 2019, equations 2 to 5: the margin as an expectation (by quadrature), and the partial L2 distance."""

from __future__ import annotations

import math

from oracles.maps import Batch, mean, to_common_size


def ofd_margin(weight: list[float], bias: list[float], steps: int = 20_000) -> list[float]:
    """E[x | x < 0] for x ~ N(bias, weight²), by the midpoint rule over the twelve deviations below zero or the mean."""
    margins = []
    for gamma, beta in zip(weight, bias, strict=True):
        sigma = abs(gamma)
        if sigma == 0:
            margins.append(min(beta, 0.0))
            continue
        top = min(0.0, beta + 12 * sigma)
        bottom = min(0.0, beta) - 12 * sigma
        width = (top - bottom) / steps
        mass = moment = 0.0
        for n in range(steps):
            x = bottom + (n + 0.5) * width
            density = math.exp(-((x - beta) ** 2) / (2 * sigma**2)) / (sigma * math.sqrt(2 * math.pi))
            mass += density * width
            moment += x * density * width
        margins.append(moment / mass if mass > 0.001 else -3 * sigma)
    return margins


def ofd(student: Batch, teacher: Batch, margin: list[float]) -> float:
    samples = []
    for student_sample, teacher_sample in zip(student, teacher, strict=True):
        s_maps, t_maps = to_common_size(student_sample, teacher_sample)
        total = 0.0
        for c in range(len(s_maps)):
            for y in range(len(s_maps[0])):
                for x in range(len(s_maps[0][0])):
                    s, t = s_maps[c][y][x], max(t_maps[c][y][x], margin[c])
                    total += 0.0 if s <= t <= 0 else (s - t) ** 2
        samples.append(total)
    return mean(samples)
