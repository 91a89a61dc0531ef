"""Liu et al. 2023: the sum over N slices of the student's channels of their mean squared error to the teacher's map."""

from __future__ import annotations

from oracles.maps import Batch, flat, mean, squared_distance, to_common_size


def norm(student: Batch, teacher: Batch) -> float:
    width = len(teacher[0])
    total = 0.0
    for start in range(0, len(student[0]), width):
        errors = []
        for s_maps, t_maps in zip(student, teacher, strict=True):
            s, t = to_common_size(s_maps[start : start + width], t_maps, "max")
            errors += [squared_distance(flat(a), flat(b)) / len(flat(a)) for a, b in zip(s, t, strict=True)]
        total += mean(errors)
    return total
