"""Touvron et al. 2021, hard distillation: -log p_s of the class with the teacher's largest logit."""

from __future__ import annotations

import math

from oracles.kd import soften
from oracles.maps import mean


def deit(student: list[list[float]], teacher: list[list[float]]) -> float:
    return mean([-math.log(soften(s, 1.0)[t.index(max(t))]) for s, t in zip(student, teacher, strict=True)])
