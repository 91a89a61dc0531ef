"""Tung and Mori 2019: G̃ = Q Qᵀ, G its rows of unit norm, and ‖G_T − G_S‖²_F / b²."""

from __future__ import annotations

from oracles.maps import Batch, dot, flat, mean, squared_distance, unit


def similarities(batch: Batch) -> list[list[float]]:
    q = [[value for rows in sample for value in flat(rows)] for sample in batch]
    return [unit([dot(x, y) for y in q]) for x in q]


def sp(student: Batch, teacher: Batch) -> float:
    g_s, g_t = similarities(student), similarities(teacher)
    return mean([squared_distance(s, t) / len(g_s) for s, t in zip(g_s, g_t, strict=True)])
