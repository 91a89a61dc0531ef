"""Yang et al. 2022: the squared distance of the generated map to the teacher's, per image."""

from __future__ import annotations

from oracles.maps import Batch, flat, mean, squared_distance, to_common_size


def mgd(student: Batch, teacher: Batch) -> float:
    samples = []
    for student_sample, teacher_sample in zip(student, teacher, strict=True):
        s, t = to_common_size(student_sample, teacher_sample)
        samples.append(sum(squared_distance(flat(a), flat(b)) for a, b in zip(s, t, strict=True)))
    return mean(samples)
