"""Sun et al. 2025: sample confidence distillation and masked correlation distillation."""

from __future__ import annotations

from oracles.kd import divergence, soften, standardized
from oracles.maps import mean


def rld(
    student: list[list[float]],
    teacher: list[list[float]],
    labels: list[int],
    alpha: float = 1.0,
    beta: float = 8.0,
    temperature: float = 4.0,
    alpha_temperature: float = 1.0,
    standardize: bool = False,
) -> float:
    if standardize:
        student, teacher = standardized(student), standardized(teacher)
    samples = []
    for student_logits, teacher_logits, y in zip(student, teacher, labels, strict=True):
        ours = soften(student_logits, alpha_temperature)[y]
        confidence = max(soften(teacher_logits, alpha_temperature))
        scd = alpha_temperature**2 * divergence([confidence, 1 - confidence], [ours, 1 - ours])
        below = [k for k, logit in enumerate(teacher_logits) if logit < teacher_logits[y]]
        q_s = soften([student_logits[k] for k in below], temperature)
        q_t = soften([teacher_logits[k] for k in below], temperature)
        samples.append(alpha * scd + beta * temperature**2 * divergence(q_t, q_s))
    return mean(samples)
