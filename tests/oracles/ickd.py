"""Liu et al. 2021: Gram matrices of the flattened channels, rows of unit norm as in the code, ‖G^t − G^s‖² / C."""

from __future__ import annotations

from oracles.maps import Batch, Features, dot, flat, mean, squared_distance, unit


def correlations(sample: Features) -> list[list[float]]:
    channels = [flat(rows) for rows in sample]
    return [unit([dot(x, y) for y in channels]) for x in channels]


def ickd(student: Batch, teacher: Batch) -> float:
    samples = []
    for student_sample, teacher_sample in zip(student, teacher, strict=True):
        g_s, g_t = correlations(student_sample), correlations(teacher_sample)
        samples.append(mean([squared_distance(s, t) for s, t in zip(g_s, g_t, strict=True)]))
    return mean(samples)
