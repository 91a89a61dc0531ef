"""Chen et al. 2021, hierarchical context loss: mean squared errors of maps pooled to 4, 2 and 1, halving weights."""

from __future__ import annotations

from oracles.maps import Batch, flat, mean, pool_map, squared_distance


def at_size(student: Batch, teacher: Batch, height: int, width: int) -> float:
    errors = []
    for s_maps, t_maps in zip(student, teacher, strict=True):
        for s_map, t_map in zip(s_maps, t_maps, strict=True):
            s, t = flat(pool_map(s_map, height, width, "avg")), flat(pool_map(t_map, height, width, "avg"))
            errors.append(squared_distance(s, t) / len(s))
    return mean(errors)


def hcl(student: Batch, teacher: Batch) -> float:
    height, width = len(student[0][0]), len(student[0][0][0])
    sizes = [(height, width)]
    sizes += [(min(side, height), min(side, width)) for side in (4, 2, 1) if side < max(height, width)]
    terms = [at_size(student, teacher, *size) for size in sizes]
    weights = [0.5**level for level in range(len(terms))]
    return sum(weight * term for weight, term in zip(weights, terms, strict=True)) / sum(weights)


def reviewkd(*maps: Batch) -> float:
    levels = len(maps) // 2
    return sum(hcl(student, teacher) for student, teacher in zip(maps[:levels], maps[levels:], strict=True))
