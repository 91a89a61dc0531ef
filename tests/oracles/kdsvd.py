"""Lee et al. 2018, as in RepDistiller: exp(−(v_c − w_d)² / 8) of leading singular vectors, k = 1, by Jacobi rotations.

The student has its four leading vectors; the one closest to the teacher's counts, with its sign.
"""

from __future__ import annotations

import math

from oracles.maps import Batch, Features, dot, flat, mean

Matrix = list[list[float]]


def eigenvectors(matrix: Matrix) -> Matrix:
    """The unit eigenvectors of a symmetric matrix, the largest eigenvalue first."""
    size = len(matrix)
    a = [list(row) for row in matrix]
    v = [[float(i == j) for j in range(size)] for i in range(size)]  # row i becomes the i-th eigenvector
    for _ in range(50):
        for p in range(size):
            for q in range(p + 1, size):
                angle = math.atan2(2 * a[p][q], a[q][q] - a[p][p]) / 2
                c, s = math.cos(angle), math.sin(angle)
                for rows in (a, v):
                    rows[p], rows[q] = (
                        [c * x - s * y for x, y in zip(rows[p], rows[q], strict=True)],
                        [s * x + c * y for x, y in zip(rows[p], rows[q], strict=True)],
                    )
                for row in a:
                    row[p], row[q] = c * row[p] - s * row[q], s * row[p] + c * row[q]
    order = sorted(range(size), key=lambda i: -a[i][i])
    return [v[i] for i in order]


def leading(sample: Features, count: int) -> Matrix:
    channels = [flat(rows) for rows in sample]
    possible = min(count, len(channels), len(channels[0]))
    return eigenvectors([[dot(x, y) for y in channels] for x in channels])[:possible]


def relations(earlier: list[float], later: list[float]) -> list[float]:
    return [math.exp(-((v - w) ** 2) / 8) for v in later for w in earlier]


def vectors(student: Features, teacher: Features) -> tuple[list[float], list[float]]:
    (theirs,) = leading(teacher, 1)
    if sum(theirs) < 0:
        theirs = [-value for value in theirs]
    closest = max(leading(student, 4), key=lambda vector: abs(dot(vector, theirs)))
    sign = 1 if dot(closest, theirs) > 0 else -1
    return [sign * value for value in closest], theirs


def kdsvd(s_a: Batch, s_b: Batch, t_a: Batch, t_b: Batch) -> float:
    samples = []
    for n in range(len(s_a)):
        ours_a, theirs_a = vectors(s_a[n], t_a[n])
        ours_b, theirs_b = vectors(s_b[n], t_b[n])
        pairs = zip(relations(ours_a, ours_b), relations(theirs_a, theirs_b), strict=True)
        samples.append(sum((s - t) ** 2 for s, t in pairs))
    return mean(samples)
