"""Miles et al. 2022: log₂ Σ |c_ii − 1|^2α of correlated features, and Σ G_s² − (G_s ∘ G_t)² of trace 1."""

from __future__ import annotations

import math

from oracles.maps import dot, mean, unit

Matrix = list[list[float]]


def correlation(student: Matrix, teacher: Matrix, alpha_it: float) -> float:
    total = 0.0
    for s, t in zip(zip(*student, strict=True), zip(*teacher, strict=True), strict=True):
        product = 0.0
        deviations = []
        for x in (s, t):
            deviations.append(math.sqrt(sum((value - mean(list(x))) ** 2 for value in x) / (len(x) - 1)))
        for a, b in zip(s, t, strict=True):
            if 0 in deviations:  # a feature that does not vary correlates with none
                continue
            product += (a - mean(list(s))) / deviations[0] * (b - mean(list(t))) / deviations[1]
        total += abs(product / len(s) - 1) ** (2 * alpha_it)
    return math.log2(total)


def of_trace_one(matrix: Matrix) -> Matrix:
    trace = sum(matrix[i][i] for i in range(len(matrix)))
    return [[value / trace for value in row] for row in matrix]


def mutual(student: Matrix, teacher: Matrix) -> float:
    g_s, g_t = ([[dot(unit(x), unit(y)) for y in samples] for x in samples] for samples in (student, teacher))
    shared = [[a * b for a, b in zip(s, t, strict=True)] for s, t in zip(g_s, g_t, strict=True)]
    ours, both = of_trace_one(g_s), of_trace_one(shared)
    return sum(value**2 for row in ours for value in row) - sum(value**2 for row in both for value in row)


def itrd(
    student: Matrix, teacher: Matrix, lambda_corr: float = 2.0, lambda_mutual: float = 0.05, alpha_it: float = 1.5
) -> float:
    return lambda_corr * correlation(student, teacher, alpha_it) + lambda_mutual * mutual(student, teacher)
