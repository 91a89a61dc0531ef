"""Romero et al. 2015, equation 3: ½ ‖u_h − r(v_g)‖², and the two re-scalings of it in use."""

from __future__ import annotations

from oracles.maps import Batch, flat, mean, squared_distance, to_common_size, unit


def hint(student: Batch, teacher: Batch, form: str = "mean") -> float:
    samples = []
    for student_sample, teacher_sample in zip(student, teacher, strict=True):
        s_maps, t_maps = to_common_size(student_sample, teacher_sample)
        s = [value for rows in s_maps for value in flat(rows)]
        t = [value for rows in t_maps for value in flat(rows)]
        if form == "mean":
            samples.append(squared_distance(s, t) / len(s))
        elif form == "paper":
            samples.append(squared_distance(s, t) / 2)
        else:
            samples.append(squared_distance(unit(s), unit(t)))
    return mean(samples)
