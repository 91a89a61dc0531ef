"""Li et al. 2023: T²·KL of softened probabilities, with a temperature for all samples or for each."""

from __future__ import annotations

from oracles.kd import kd
from oracles.maps import mean


def ctkd(
    student: list[list[float]], teacher: list[list[float]], temperature: list[float], standardize: bool = False
) -> float:
    temperatures = temperature * len(student) if len(temperature) == 1 else temperature
    samples = zip(student, teacher, temperatures, strict=True)
    return mean([kd([ours], [theirs], value, standardize) for ours, theirs, value in samples])
