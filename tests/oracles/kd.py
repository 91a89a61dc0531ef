"""Hinton et al. 2015, section 2: T² Σ_k p_t log(p_t / p_s), with q_i = exp(z_i/T) / Σ_j exp(z_j/T)."""

from __future__ import annotations

import math
import statistics

from oracles.maps import mean


def soften(logits: list[float], temperature: float) -> list[float]:
    exponentials = [math.exp(logit / temperature) for logit in logits]
    return [value / sum(exponentials) for value in exponentials]


def standardized(batch: list[list[float]]) -> list[list[float]]:
    """Sun et al. 2024: the Z-score of each sample's logits, with the authors' 1e-7 added to σ."""
    return [[(logit - mean(logits)) / (statistics.stdev(logits) + 1e-7) for logit in logits] for logits in batch]


def divergence(p_t: list[float], p_s: list[float]) -> float:
    return sum(t * math.log(t / s) for s, t in zip(p_s, p_t, strict=True) if t > 0)


def kd(
    student: list[list[float]], teacher: list[list[float]], temperature: float = 4.0, standardize: bool = False
) -> float:
    if standardize:
        student, teacher = standardized(student), standardized(teacher)
    samples = []
    for student_logits, teacher_logits in zip(student, teacher, strict=True):
        samples.append(divergence(soften(teacher_logits, temperature), soften(student_logits, temperature)))
    return temperature**2 * mean(samples)
