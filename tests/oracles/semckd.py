"""Chen et al. 2021: errors of all pairs of layers weighted by attention, over samples and layers of the student."""

from __future__ import annotations

from oracles.hint import hint
from oracles.maps import Batch


def semckd(attention: list[list[list[float]]], *maps: Batch) -> float:
    """Two layers of the student by two of the teacher: maps S_11, S_12, S_21, S_22, T_1, T_2."""
    total = 0.0
    for n in range(len(attention)):
        for i in range(2):
            for j in range(2):
                total += attention[n][i][j] * hint([maps[2 * i + j][n]], [maps[4 + j][n]], form="mean")
    return total / (2 * len(attention))
