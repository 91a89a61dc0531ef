"""Zagoruyko and Komodakis 2017: Q = vec(F(A)) / ‖vec(F(A))‖₂, F_sum^p(A) = Σ_c |A_c|^p, F_max^p(A) = max_c |A_c|^p."""

from __future__ import annotations

import math

from oracles.maps import Batch, Features, mean, squared_distance, to_common_size, unit


def attention_row(sample: Features, p: float, reduce: str) -> list[float]:
    row = []
    for y in range(len(sample[0])):
        for x in range(len(sample[0][0])):
            powers = [abs(channel[y][x]) ** p for channel in sample]
            row.append(max(powers) if reduce == "max" else sum(powers))
    return unit(row)


def attention(student: Batch, teacher: Batch, p: float = 2, form: str = "code", reduce: str = "sum") -> float:
    samples = []
    for student_sample, teacher_sample in zip(student, teacher, strict=True):
        s_maps, t_maps = to_common_size(student_sample, teacher_sample)
        q_s, q_t = attention_row(s_maps, p, reduce), attention_row(t_maps, p, reduce)
        if form == "code":
            samples.append(squared_distance(q_s, q_t) / len(q_s))
        else:
            samples.append(math.sqrt(squared_distance(q_s, q_t)) / 2)
    return mean(samples)


def gradient_attention(student_grad: Batch, teacher_grad: Batch) -> float:
    """½ ‖J_S − J_T‖², section 3.2 with the squared norm."""
    samples = []
    for j_s, j_t in zip(student_grad, teacher_grad, strict=True):
        total = 0.0
        for s_map, t_map in zip(j_s, j_t, strict=True):
            for s_row, t_row in zip(s_map, t_map, strict=True):
                total += squared_distance(s_row, t_row)
        samples.append(total / 2)
    return mean(samples)
