"""Kim et al. 2018: ‖F_T / ‖F_T‖₂ − F_S / ‖F_S‖₂‖₁ of flattened factors; as in the code, the mean over elements."""

from __future__ import annotations

from oracles.attention import attention_row
from oracles.maps import Batch, Features, flat, mean, to_common_size, unit


def direction(factor: Features, form: str) -> list[float]:
    if form == "repdistiller":
        return attention_row(factor, p=2, reduce="sum")
    return unit([value for rows in factor for value in flat(rows)])


def ft(student: Batch, teacher: Batch, form: str = "paper") -> float:
    samples = []
    for student_sample, teacher_sample in zip(student, teacher, strict=True):
        s_maps, t_maps = to_common_size(student_sample, teacher_sample)
        pairs = zip(direction(s_maps, form), direction(t_maps, form), strict=True)
        samples.append(mean([abs(s - t) for s, t in pairs]))
    return mean(samples)
