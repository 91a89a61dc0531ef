"""Passalis and Tefas 2018: p_ij = K(x_i, x_j) / Σ_k K(x_i, x_k), K = (cosine + 1) / 2, and Σ p^t log(p^t / p^s).

As in the authors' code, the sum is a mean over pairs and 1e-7 is added to norms and probabilities.
"""

from __future__ import annotations

import math

from oracles.maps import dot, mean

EPS = 1e-7


def neighbors(samples: list[list[float]]) -> list[list[float]]:
    directions = [[value / (math.sqrt(dot(x, x)) + EPS) for value in x] for x in samples]
    rows = []
    for x in directions:
        row = [(dot(x, y) + 1) / 2 for y in directions]
        rows.append([value / sum(row) for value in row])
    return rows


def pkt(student: list[list[float]], teacher: list[list[float]]) -> float:
    p_s, p_t = neighbors(student), neighbors(teacher)
    batch = range(len(student))
    return mean([p_t[i][j] * math.log((p_t[i][j] + EPS) / (p_s[i][j] + EPS)) for i in batch for j in batch])
