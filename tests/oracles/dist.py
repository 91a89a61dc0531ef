"""Huang et al. 2022: Pearson distances of rows and columns, with the authors' 1e-8 and τ²."""

from __future__ import annotations

import math

from oracles.kd import soften
from oracles.maps import dot, mean


def correlation(x: list[float], y: list[float]) -> float:
    x, y = [value - mean(x) for value in x], [value - mean(y) for value in y]
    return dot(x, y) / (math.sqrt(dot(x, x)) * math.sqrt(dot(y, y)) + 1e-8)


def distance(ours: list[list[float]], theirs: list[list[float]]) -> float:
    return mean([1 - correlation(x, y) for x, y in zip(ours, theirs, strict=True)])


def dist(
    student: list[list[float]],
    teacher: list[list[float]],
    beta: float = 1.0,
    gamma: float = 1.0,
    temperature: float = 4.0,
) -> float:
    p_s, p_t = [soften(row, temperature) for row in student], [soften(row, temperature) for row in teacher]
    columns_s, columns_t = [list(column) for column in zip(*p_s)], [list(column) for column in zip(*p_t)]
    return temperature**2 * (beta * distance(p_s, p_t) + gamma * distance(columns_s, columns_t))
