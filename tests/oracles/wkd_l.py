"""Lv et al. 2024: a Wasserstein distance by Sinkhorn's iterations, over the classes but the label."""

from __future__ import annotations

import math

from oracles.dkd import without
from oracles.kd import soften
from oracles.maps import dot, mean, unit
from oracles.nkd import target_class

Matrix = list[list[float]]


def wkd_l_cost(prototypes: Matrix, sharpen: float = 1.0) -> Matrix:
    directions = [unit(row) for row in prototypes]
    distances = [[1 - dot(a, b) for b in directions] for a in directions]
    if sharpen > 0:
        distances = [[1 - math.exp(-sharpen * value) for value in row] for row in distances]
    return [[max(value, 0.0) + 1e-8 for value in row] for row in distances]


def transport(p_s: list[float], p_t: list[float], cost: Matrix, reg: float, iterations: int) -> float:
    size = len(p_s)
    kernel = [[math.exp(-value / reg) for value in row] for row in cost]
    u = v = [1 / size] * size
    for _ in range(iterations):
        v = [p_t[j] / (sum(kernel[i][j] * u[i] for i in range(size)) + 1e-8) for j in range(size)]
        u = [p_s[i] / (sum(kernel[i][j] * v[j] for j in range(size)) + 1e-8) for i in range(size)]
    return sum(u[i] * kernel[i][j] * v[j] * cost[i][j] for i in range(size) for j in range(size))


def wkd_l(
    student: Matrix,
    teacher: Matrix,
    labels: list[int],
    cost: Matrix,
    weight: float = 200.0,
    temperature: float = 6.0,
    reg: float = 0.05,
    iterations: int = 10,
) -> float:
    samples = []
    for z_s, z_t, y in zip(student, teacher, labels, strict=True):
        q_s, q_t = soften(without(z_s, y), temperature), soften(without(z_t, y), temperature)
        among_others = [without(row, y) for row in without(cost, y)]
        samples.append(transport(q_s, q_t, among_others, reg, iterations))
    return target_class(student, teacher, labels) + weight * mean(samples)
