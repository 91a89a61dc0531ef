"""Wei et al. 2024: KD of every region of every image, weight 2 where region and image disagree about the label."""

from __future__ import annotations

import math
from collections.abc import Callable

from oracles.kd import kd, soften
from oracles.maps import mean

Logits = list[float]


def kd_at_2(student: list[Logits], teacher: list[Logits], _: list[int]) -> float:
    return kd(student, teacher, temperature=2.0)


def sdd(
    student: list[list[Logits]],
    teacher: list[list[Logits]],
    labels: list[int],
    loss: Callable[[list[Logits], list[Logits], list[int]], float] = kd_at_2,
) -> float:
    terms = []
    for s_regions, t_regions, label in zip(student, teacher, labels, strict=True):
        image_right = t_regions[0].index(max(t_regions[0])) == label
        for s, t in zip(s_regions, t_regions, strict=True):
            region_right = t.index(max(t)) == label
            terms.append((1 if region_right == image_right else 2) * loss([s], [t], [label]))
    return mean(terms)


def sdd_nkd(student: list[Logits], teacher: list[Logits], labels: list[int], temperature: float = 1.0) -> float:
    """The official variant, whose second sum runs over all classes."""
    terms = []
    for s, t, label in zip(student, teacher, labels, strict=True):
        p_s, p_t = soften(s, temperature), soften(t, temperature)
        whole = sum(-theirs * math.log(ours) for ours, theirs in zip(p_s, p_t, strict=True))
        terms.append(-soften(t, 1.0)[label] * math.log(soften(s, 1.0)[label]) + 1.5 * temperature**2 * whole)
    return mean(terms)
