"""Park et al. 2019: ψ_D = ‖t_i − t_j‖ / μ, ψ_A = cos ∠t_i t_j t_k, and the Huber loss between both networks' values."""

from __future__ import annotations

import math
from itertools import product

from oracles.maps import dot, mean, squared_distance, unit

Embeddings = list[list[float]]


def huber(x: float, y: float) -> float:
    return (x - y) ** 2 / 2 if abs(x - y) <= 1 else abs(x - y) - 0.5


def distances(samples: Embeddings) -> list[float]:
    """Of all ordered pairs, divided by the mean over pairs of different samples; repeated samples are 1e-6 apart."""
    raw = []
    for i, j in product(range(len(samples)), repeat=2):
        raw.append(0.0 if i == j else max(math.sqrt(squared_distance(samples[i], samples[j])), 1e-6))
    apart = mean([distance for distance in raw if distance > 0])
    return [distance / apart for distance in raw]


def angles(samples: Embeddings) -> list[float]:
    cosines = []
    for i, j, k in product(range(len(samples)), repeat=3):
        to_j = unit([b - a for a, b in zip(samples[i], samples[j], strict=True)])
        to_k = unit([b - a for a, b in zip(samples[i], samples[k], strict=True)])
        cosines.append(dot(to_j, to_k))
    return cosines


def rkd(student: Embeddings, teacher: Embeddings, w_d: float = 25.0, w_a: float = 50.0) -> float:
    distance = mean([huber(s, t) for s, t in zip(distances(student), distances(teacher), strict=True)])
    angle = mean([huber(s, t) for s, t in zip(angles(student), angles(teacher), strict=True)])
    return w_d * distance + w_a * angle
