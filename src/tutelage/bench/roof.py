"""What the hardware gives at best: the rate of a large matrix product."""

from __future__ import annotations

import time

import torch

from tutelage.measure import DTYPES, wait

TRIES = 5


def matmul_rate(device: torch.device, precision: str) -> float:
    """Returns the multiply-adds a second of the fastest of a few products of two large square matrices.

    Convolutions that are computed directly can hardly be faster, so networks of so many multiply-adds can hardly be.
    """
    side = 2048 if device.type == "cpu" else 8192
    left, right = (torch.ones(side, side, dtype=DTYPES[precision], device=device) for _ in range(2))
    seconds = []
    for _ in range(TRIES):
        wait(device)
        start = time.perf_counter()
        left @ right
        wait(device)
        seconds.append(time.perf_counter() - start)
    return side**3 / min(seconds)
