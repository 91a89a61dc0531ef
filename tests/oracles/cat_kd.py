"""Guo et al. 2023: class maps averaged over a coarse grid, each scaled to unit norm, and their mean squared error."""

from __future__ import annotations

from oracles.maps import Batch, flat, mean, pool_map, squared_distance, unit


def cat_kd(student: Batch, teacher: Batch, resolution: int = 2, normalize: bool = True) -> float:
    errors = []
    for s_maps, t_maps in zip(student, teacher, strict=True):
        for s_map, t_map in zip(s_maps, t_maps, strict=True):
            s = flat(pool_map(s_map, min(resolution, len(s_map)), min(resolution, len(s_map[0])), "avg"))
            t = flat(pool_map(t_map, min(resolution, len(t_map)), min(resolution, len(t_map[0])), "avg"))
            s, t = (unit(s), unit(t)) if normalize else (s, t)
            errors.append(squared_distance(s, t) / len(s))
    return mean(errors)
