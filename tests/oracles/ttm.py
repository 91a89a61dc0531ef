"""Zheng and Yang 2024: a power transform of the teacher's probabilities, and its sum."""

from __future__ import annotations

from oracles.kd import divergence, soften
from oracles.maps import mean


def ttm(student: list[list[float]], teacher: list[list[float]], gamma: float = 0.1, weighted: bool = False) -> float:
    samples = []
    for student_logits, teacher_logits in zip(student, teacher, strict=True):
        powers = [p**gamma for p in soften(teacher_logits, 1.0)]
        loss = divergence([power / sum(powers) for power in powers], soften(student_logits, 1.0))
        samples.append(sum(powers) * loss if weighted else loss)
    return mean(samples)
