"""Lv et al. 2024: ratio · |mu_s - mu_t|^2 + |sigma_s - sigma_t|^2 of diagonal Gaussians, one for each cell."""

from __future__ import annotations

import math

from oracles.maps import Batch, Map, mean


def moments(rows: Map, grid: int, eps: float) -> list[tuple[float, float]]:
    height, width = len(rows), len(rows[0])
    cells = []
    for i in range(grid):
        for j in range(grid):
            values = []
            for y in range(math.floor(i * height / grid), math.ceil((i + 1) * height / grid)):
                for x in range(math.floor(j * width / grid), math.ceil((j + 1) * width / grid)):
                    values.append(rows[y][x])
            center = mean(values)
            variance = sum((value - center) ** 2 for value in values) / max(1, len(values) - 1)
            cells.append((center, math.sqrt(variance + eps)))
    return cells


def wkd_f(student: Batch, teacher: Batch, ratio: float = 2.0, grid: int = 1, eps: float = 1e-5) -> float:
    samples = []
    for s_maps, t_maps in zip(student, teacher, strict=True):
        total = 0.0
        for s_map, t_map in zip(s_maps, t_maps, strict=True):
            pairs = zip(moments(s_map, grid, eps), moments(t_map, grid, eps), strict=True)
            total += sum(ratio * (m_s - m_t) ** 2 + (d_s - d_t) ** 2 for (m_s, d_s), (m_t, d_t) in pairs)
        samples.append(total / grid**2)
    return mean(samples)
