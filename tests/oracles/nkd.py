"""Yang et al. 2023: the label's class and the normalized others, both as cross-entropies."""

from __future__ import annotations

import math

from oracles.dkd import without
from oracles.kd import soften
from oracles.maps import mean


def cross_entropy(p_t: list[float], p_s: list[float]) -> float:
    return -sum(t * math.log(s) for s, t in zip(p_s, p_t, strict=True))


def target_class(student: list[list[float]], teacher: list[list[float]], labels: list[int]) -> float:
    samples = zip(student, teacher, labels, strict=True)
    return mean([-soften(t, 1.0)[y] * math.log(soften(s, 1.0)[y]) for s, t, y in samples])


def nkd(
    student: list[list[float]],
    teacher: list[list[float]],
    labels: list[int],
    gamma: float = 1.5,
    temperature: float = 1.0,
) -> float:
    others = []
    for student_logits, teacher_logits, y in zip(student, teacher, labels, strict=True):
        q_s, q_t = soften(without(student_logits, y), temperature), soften(without(teacher_logits, y), temperature)
        others.append(cross_entropy(q_t, q_s))
    return target_class(student, teacher, labels) + gamma * temperature**2 * mean(others)
