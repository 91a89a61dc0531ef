"""Variants take turns; medians of the turns are compared, since machines drift."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass

import torch

from tutelage.bench.variants import Steps
from tutelage.measure import peak_bytes, reset_peak, wait


@dataclass(frozen=True)
class Timing:
    """Of one variant."""

    seconds: tuple[float, ...]
    """A step, in each turn."""
    peak: int | None
    """Bytes in use at most beyond those before the last turn; None where the system does not tell."""

    def images_per_second(self, batch_size: int) -> float:
        return batch_size / statistics.median(self.seconds)


def take_turns(variants: Mapping[str, Steps], turns: int, steps: int, device: torch.device) -> dict[str, Timing]:
    """Returns the timing of each variant over ``turns`` of ``steps``, one after another, after a turn that warms up."""
    seconds: dict[str, list[float]] = {name: [] for name in variants}
    peaks: dict[str, int | None] = {}
    for turn in range(turns + 1):
        for name, take in variants.items():
            before = reset_peak(device)
            start = time.perf_counter()
            take(steps)
            wait(device)
            if turn > 0:
                seconds[name].append((time.perf_counter() - start) / steps)
            peak = peak_bytes(device)
            peaks[name] = peak - before if peak is not None else None
    return {name: Timing(tuple(seconds[name]), peaks[name]) for name in variants}


def time_ratio(of: Timing, over: Timing) -> float:
    """Returns how many times as long a step of the one takes as of the other: the median of the turns' own ratios."""
    return statistics.median(a / b for a, b in zip(of.seconds, over.seconds))
