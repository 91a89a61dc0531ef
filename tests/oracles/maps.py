"""Pooling and unit vectors on nested lists: a map is rows of floats, features are a list of maps (channels)."""

from __future__ import annotations

import math

Map = list[list[float]]
Features = list[Map]  # one sample: C maps of H rows of W floats
Batch = list[Features]


def pool_map(rows: Map, height: int, width: int, pool: str) -> Map:
    """Adaptive pooling: bin i of n covers the cells from floor(i·N/n) to ceil((i+1)·N/n)."""
    full_height, full_width = len(rows), len(rows[0])
    pooled = []
    for i in range(height):
        pooled_row = []
        for j in range(width):
            cells = []
            for y in range(math.floor(i * full_height / height), math.ceil((i + 1) * full_height / height)):
                for x in range(math.floor(j * full_width / width), math.ceil((j + 1) * full_width / width)):
                    cells.append(rows[y][x])
            pooled_row.append(max(cells) if pool == "max" else sum(cells) / len(cells))
        pooled.append(pooled_row)
    return pooled


def to_common_size(a: Features, b: Features, pool: str = "avg") -> tuple[Features, Features]:
    """Both samples at the smaller height and the smaller width of the two."""
    height = min(len(a[0]), len(b[0]))
    width = min(len(a[0][0]), len(b[0][0]))
    return [pool_map(m, height, width, pool) for m in a], [pool_map(m, height, width, pool) for m in b]


def flat(rows: Map) -> list[float]:
    return [value for row in rows for value in row]


def unit(vector: list[float]) -> list[float]:
    """The vector divided by its L2 norm; zero stays zero."""
    norm = math.sqrt(sum(value * value for value in vector))
    return [value / norm for value in vector] if norm > 0 else vector


def dot(x: list[float], y: list[float]) -> float:
    return sum(a * b for a, b in zip(x, y, strict=True))


def squared_distance(x: list[float], y: list[float]) -> float:
    return sum((a - b) ** 2 for a, b in zip(x, y, strict=True))


def mean(values: list[float]) -> float:
    return sum(values) / len(values)
