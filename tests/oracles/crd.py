"""Tian et al. 2020: log h(T, S) + Σ log (1 − h(T, S')), h = P / (P + N/M), P = exp(<a, b>/τ) / Z."""

from __future__ import annotations

import math

from oracles.maps import mean

EPS = 1e-7


def one_side(similarities: list[list[float]], log_z: float, n_data: int, temperature: float) -> float:
    samples = []
    for row in similarities:
        positive, *negatives = [math.exp(value / temperature) / math.exp(log_z) for value in row]
        noise = len(negatives) / n_data
        terms = [math.log(positive / (positive + noise + EPS))]
        terms += [math.log(noise / (value + noise + EPS)) for value in negatives]
        samples.append(-sum(terms))
    return mean(samples)


def crd(
    student: list[list[float]], teacher: list[list[float]], log_z: list[float], n_data: int, temperature: float = 0.07
) -> float:
    z_s, z_t = log_z
    return one_side(student, z_s, n_data, temperature) + one_side(teacher, z_t, n_data, temperature)
