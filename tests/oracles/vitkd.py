"""Yang et al. 2022: squared distances of early tokens, and of masked generated tokens over the masked share."""

from __future__ import annotations

from oracles.maps import flat, mean, squared_distance

Tokens = list[list[float]]


def vitkd(
    low: list[list[Tokens]],
    high: list[Tokens],
    teacher_low: list[list[Tokens]],
    teacher_high: list[Tokens],
    mask: list[list[float]],
    alpha: float,
    beta: float,
    ratio: float,
) -> float:
    samples = []
    for n in range(len(low)):
        early = sum(squared_distance(flat(s), flat(t)) for s, t in zip(low[n], teacher_low[n], strict=True))
        last = 0.0
        for s, t, masked in zip(high[n], teacher_high[n], mask[n], strict=True):
            last += squared_distance(s, t) if masked > 0 else 0.0
        samples.append(alpha * early + beta / ratio * last)
    return mean(samples)
