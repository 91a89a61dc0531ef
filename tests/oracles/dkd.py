"""Zhao et al. 2022: α·TCKD + β·NCKD, of the probabilities themselves."""

from __future__ import annotations

from typing import TypeVar

from oracles.kd import divergence, soften, standardized
from oracles.maps import mean

T = TypeVar("T")


def without(values: list[T], index: int) -> list[T]:
    return values[:index] + values[index + 1 :]


def dkd(
    student: list[list[float]],
    teacher: list[list[float]],
    labels: list[int],
    alpha: float = 1.0,
    beta: float = 8.0,
    temperature: float = 4.0,
    standardize: bool = False,
) -> float:
    if standardize:
        student, teacher = standardized(student), standardized(teacher)
    samples = []
    for student_logits, teacher_logits, y in zip(student, teacher, labels, strict=True):
        p_s, p_t = soften(student_logits, temperature), soften(teacher_logits, temperature)
        tckd = divergence([p_t[y], 1 - p_t[y]], [p_s[y], 1 - p_s[y]])
        q_s, q_t = soften(without(student_logits, y), temperature), soften(without(teacher_logits, y), temperature)
        samples.append(alpha * tckd + beta * divergence(q_t, q_s))
    return temperature**2 * mean(samples)
