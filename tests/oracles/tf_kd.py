"""Yuan et al. 2020, as in their code: KL(softmax(u / T) | softmax(z_s)), u the confidence of a virtual teacher."""

from __future__ import annotations

import math

from oracles.kd import soften
from oracles.maps import mean


def tf_kd(student: list[list[float]], labels: list[int], temperature: float = 20.0, confidence: float = 0.99) -> float:
    samples = []
    for s, label in zip(student, labels, strict=True):
        virtual = [confidence if k == label else (1 - confidence) / (len(s) - 1) for k in range(len(s))]
        p_s, p_t = soften(s, 1.0), soften(virtual, temperature)
        samples.append(sum(t * math.log(t / ours) for ours, t in zip(p_s, p_t, strict=True)))
    return mean(samples)
