"""Hinton et al. 2015, section 2: T² Σ_k p_t log(p_t / p_s), with q_i = exp(z_i/T) / Σ_j exp(z_j/T)."""

from __future__ import annotations

import math

from oracles.maps import mean


def soften(logits: list[float], temperature: float) -> list[float]:
    exponentials = [math.exp(logit / temperature) for logit in logits]
    return [value / sum(exponentials) for value in exponentials]


def kd(student: list[list[float]], teacher: list[list[float]], temperature: float = 4.0) -> float:
    samples = []
    for student_logits, teacher_logits in zip(student, teacher, strict=True):
        p_s, p_t = soften(student_logits, temperature), soften(teacher_logits, temperature)
        samples.append(sum(t * math.log(t / s) for s, t in zip(p_s, p_t, strict=True) if t > 0))
    return temperature**2 * mean(samples)
