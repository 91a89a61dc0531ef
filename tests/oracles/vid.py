"""Ahn et al. 2019: Σ log σ_c + (t − μ)² / (2 σ_c²), with σ_c² = log(1 + exp(ρ_c)) + ε."""

from __future__ import annotations

import math

from oracles.maps import Batch, flat, mean, to_common_size


def vid(student: Batch, teacher: Batch, rho: list[float], eps: float = 1e-5) -> float:
    values = []
    for student_sample, teacher_sample in zip(student, teacher, strict=True):
        means, maps = to_common_size(student_sample, teacher_sample)
        for channel, value in enumerate(rho):
            sigma = math.sqrt(math.log(1 + math.exp(value)) + eps)
            for m, t in zip(flat(means[channel]), flat(maps[channel]), strict=True):
                values.append(math.log(sigma) + (t - m) ** 2 / (2 * sigma**2))
    return mean(values)
