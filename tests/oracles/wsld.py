"""Zhou et al. 2021: soft labels weighted by 1 − exp(−CE_s / CE_t), with the code's 1e-7."""

from __future__ import annotations

import math

from oracles.kd import soften
from oracles.maps import mean
from oracles.nkd import cross_entropy


def wsld(
    student: list[list[float]],
    teacher: list[list[float]],
    labels: list[int],
    alpha: float = 2.5,
    temperature: float = 2.0,
) -> float:
    samples = []
    for student_logits, teacher_logits, y in zip(student, teacher, labels, strict=True):
        ours, theirs = -math.log(soften(student_logits, 1.0)[y]), -math.log(soften(teacher_logits, 1.0)[y])
        weight = 1 - math.exp(-ours / (theirs + 1e-7))
        samples.append(weight * cross_entropy(soften(teacher_logits, temperature), soften(student_logits, temperature)))
    return alpha * temperature**2 * mean(samples)
