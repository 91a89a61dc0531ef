"""Huang and Wang 2017, equation 3: squared MMD over all pairs of unit-norm channel maps, kernel by kernel."""

from __future__ import annotations

import math
from collections.abc import Callable

from oracles.maps import Batch, dot, flat, mean, squared_distance, to_common_size, unit

Vectors = list[list[float]]


def mean_over_pairs(xs: Vectors, ys: Vectors, kernel: Callable[[list[float], list[float]], float]) -> float:
    return mean([kernel(x, y) for x in xs for y in ys])


def nst(
    student: Batch,
    teacher: Batch,
    kernel: str = "polynomial",
    degree: int = 2,
    offset: float = 0.0,
    bandwidth: float | None = None,
) -> float:
    samples = []
    for student_sample, teacher_sample in zip(student, teacher, strict=True):
        s_maps, t_maps = to_common_size(student_sample, teacher_sample)
        s, t = [unit(flat(m)) for m in s_maps], [unit(flat(m)) for m in t_maps]
        if kernel == "gaussian" and bandwidth is None:
            variance = mean_over_pairs(t, s, squared_distance)
        else:
            variance = bandwidth or 1.0
        kernels = {
            "linear": dot,
            "polynomial": lambda x, y: (dot(x, y) + offset) ** degree,
            "gaussian": lambda x, y, v=variance: math.exp(-squared_distance(x, y) / (2 * v)),
        }
        k = kernels[kernel]
        samples.append(mean_over_pairs(t, t, k) + mean_over_pairs(s, s, k) - 2 * mean_over_pairs(s, t, k))
    return mean(samples)
