"""Chen et al. 2021: errors of all pairs of layers weighted by attention, over samples and layers of the student."""

from __future__ import annotations

from oracles.hint import hint
from oracles.maps import Batch


def semckd(attention: list[list[list[float]]], *maps: Batch) -> float:
    """I layers of the student by J of the teacher: maps S_11, …, S_1J, …, S_IJ, T_1, …, T_J."""
    of_student, of_teacher = len(attention[0]), len(attention[0][0])
    teachers = maps[of_student * of_teacher :]
    total = 0.0
    for n in range(len(attention)):
        for i in range(of_student):
            for j in range(of_teacher):
                error = hint([maps[of_teacher * i + j][n]], [teachers[j][n]], form="mean")
                total += attention[n][i][j] * error
    return total / (of_student * len(attention))
