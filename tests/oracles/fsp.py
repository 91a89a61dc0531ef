"""Yim et al. 2017, equations 1 and 2: G_ij = Σ_h Σ_w F¹_hwi · F²_hwj / (h·w), and Σ ‖G_T − G_S‖² over samples / N."""

from __future__ import annotations

from oracles.maps import Batch, Features, mean, to_common_size


def fsp_matrix(a: Features, b: Features, pool: str) -> list[list[float]]:
    a, b = to_common_size(a, b, pool)
    height, width = len(a[0]), len(a[0][0])
    matrix = []
    for f in a:
        row = []
        for g in b:
            total = 0.0
            for y in range(height):
                for x in range(width):
                    total += f[y][x] * g[y][x]
            row.append(total / (height * width))
        matrix.append(row)
    return matrix


def fsp(s_a: Batch, s_b: Batch, t_a: Batch, t_b: Batch, form: str = "paper", pool: str = "max") -> float:
    samples = []
    for n in range(len(s_a)):
        g_s, g_t = fsp_matrix(s_a[n], s_b[n], pool), fsp_matrix(t_a[n], t_b[n], pool)
        squares = [(g_s[i][j] - g_t[i][j]) ** 2 for i in range(len(g_s)) for j in range(len(g_s[0]))]
        samples.append(sum(squares) if form == "paper" else mean(squares))
    return mean(samples)
