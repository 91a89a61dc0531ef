"""Heo et al. 2019: Σ ρ(t) σ(μ1 − s)² + (1 − ρ(t)) σ(μ1 + s)², where ρ(t) is 1 if t > 0 and 0 otherwise, σ the ReLU."""

from __future__ import annotations

from oracles.maps import Batch, flat, mean, to_common_size


def ab(student: Batch, teacher: Batch, margin: float = 1.0) -> float:
    samples = []
    for student_sample, teacher_sample in zip(student, teacher, strict=True):
        s_maps, t_maps = to_common_size(student_sample, teacher_sample)
        total = 0.0
        for s_map, t_map in zip(s_maps, t_maps, strict=True):
            for s, t in zip(flat(s_map), flat(t_map), strict=True):
                total += max(0.0, margin - s if t > 0 else margin + s) ** 2
        samples.append(total)
    return mean(samples)
