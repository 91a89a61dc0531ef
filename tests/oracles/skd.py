"""SKD, CVPR 2026: Mahalanobis lengths of the rows of the difference of two cosine similarity matrices."""

from __future__ import annotations

import math
import statistics

from oracles.kd import kd, soften
from oracles.maps import dot, mean, unit

Matrix = list[list[float]]


def solve(matrix: Matrix, right: list[float]) -> list[float]:
    """Gaussian elimination; the matrix is positive definite, so no pivoting."""
    rows = [[*row, value] for row, value in zip(matrix, right, strict=True)]
    size = len(rows)
    for i in range(size):
        for j in range(i + 1, size):
            factor = rows[j][i] / rows[i][i]
            rows[j] = [a - factor * b for a, b in zip(rows[j], rows[i], strict=True)]
    solution = [0.0] * size
    for i in reversed(range(size)):
        known = sum(rows[i][j] * solution[j] for j in range(i + 1, size))
        solution[i] = (rows[i][size] - known) / rows[i][i]
    return solution


def direction(student: Matrix, teacher: Matrix, ridge: float, divisor: float) -> float:
    ours, theirs = [unit(row) for row in student], [unit(row) for row in teacher]
    batch = range(len(student))
    rows = [[(dot(ours[i], ours[j]) - dot(theirs[i], theirs[j])) / divisor for j in batch] for i in batch]
    columns = [list(column) for column in zip(*rows)]
    covariance = [
        [statistics.covariance(columns[i], columns[j]) + (ridge if i == j else 0.0) for j in batch] for i in batch
    ]
    return mean([math.sqrt(dot(row, solve(covariance, row))) for row in rows])


def share_to_median(values: list[float]) -> float:
    return mean([float(value <= statistics.median(values)) for value in values])


def skd(student: Matrix, teacher: Matrix, temperature: float = 4.0, ridge: float = 0.1, form: str = "code") -> float:
    softened = kd(student, teacher, temperature)
    if form == "paper":
        return softened / temperature**2 + direction(student, teacher, ridge, 1.0)
    probabilities = [soften(row, 1.0) for row in teacher]
    of_samples = share_to_median([max(row) for row in probabilities])
    of_classes = share_to_median([sum(column) for column in zip(*probabilities)])
    return of_samples * softened + of_classes * direction(student, teacher, ridge, float(len(student[0])))
