"""Miles and Mikolajczyk 2024: log Σ_i |BN(W z_s) − BN(z_t)|^α over batch and features."""

from __future__ import annotations

import math

from oracles.maps import mean

Matrix = list[list[float]]


def normalized(samples: Matrix, eps: float) -> Matrix:
    """The features, each normalized over the batch."""
    rows = []
    for feature in zip(*samples, strict=True):
        centered = [value - mean(list(feature)) for value in feature]
        deviation = math.sqrt(mean([value**2 for value in centered]) + eps)
        rows.append([value / deviation for value in centered])
    return rows


def srd(student: Matrix, teacher: Matrix, exponent: float = 4.0, bn_eps: float = 1e-4) -> float:
    total = 0.0
    for s, t in zip(normalized(student, bn_eps), normalized(teacher, bn_eps), strict=True):
        total += sum(abs(a - b) ** exponent for a, b in zip(s, t, strict=True))
    return math.log(total)
