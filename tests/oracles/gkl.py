"""Cui et al. 2024 and 2025: all pairs of classes, weighted by class means (or the sample's own) probabilities."""

from __future__ import annotations

from oracles.kd import soften
from oracles.maps import mean
from oracles.nkd import cross_entropy


def gkl(
    student: list[list[float]],
    teacher: list[list[float]],
    labels: list[int],
    class_means: list[list[float]] | None = None,
    alpha: float = 1.0,
    beta: float = 16.0,
    gamma: float = 0.05,
    temperature: float = 4.0,
    weight_temperature: float = 4.0,
    version: int = 2,
) -> float:
    soft, error, weight = [], 0.0, 0.0
    for z_s, z_t, y in zip(student, teacher, labels, strict=True):
        soft.append(cross_entropy(soften(z_t, temperature), soften(z_s, temperature)))
        w = class_means[y] if class_means else soften(z_t, weight_temperature)
        w = [value**gamma for value in w] if version == 2 else w
        for j in range(len(w)):
            for k in range(len(w)):
                error += w[j] * w[k] * ((z_t[j] - z_t[k]) - (z_s[j] - z_s[k])) ** 2
                weight += w[j] * w[k]
    return alpha * mean(soft) + beta / 4 * error / (weight if version == 2 else len(student))
