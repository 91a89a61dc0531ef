"""Miles et al. 2024: smooth L1 between the student's projected embedding and the teacher's normalized one."""

from __future__ import annotations

import math

from oracles.maps import mean


def vkd(student: list[list[float]], teacher: list[list[float]]) -> float:
    terms = []
    for s, t in zip(student, teacher, strict=True):
        center = mean(t)
        deviation = math.sqrt(mean([(value - center) ** 2 for value in t]) + 1e-5)
        for ours, theirs in zip(s, t, strict=True):
            distance = abs(ours - (theirs - center) / deviation)
            terms.append(distance**2 / 2 if distance < 1 else distance - 0.5)
    return mean(terms)
