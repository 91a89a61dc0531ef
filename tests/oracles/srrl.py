"""Yang et al. 2021: ‖h_s − h_t‖² and ‖W_t h_s − W_t h_t‖² of pooled features h; as in the code, means over elements."""

from __future__ import annotations

from oracles.maps import Batch, dot, flat, mean, squared_distance


def srrl(student: Batch, teacher: Batch, classes: list[list[float]], weight: float = 1.0) -> float:
    features, logits = [], []
    for student_sample, teacher_sample in zip(student, teacher, strict=True):
        h_s = [mean(flat(rows)) for rows in student_sample]
        h_t = [mean(flat(rows)) for rows in teacher_sample]
        features.append(squared_distance(h_s, h_t) / len(h_s))
        z_s, z_t = ([dot(row, h) for row in classes] for h in (h_s, h_t))
        logits.append(squared_distance(z_s, z_t) / len(classes))
    return mean(features) + weight * mean(logits)
