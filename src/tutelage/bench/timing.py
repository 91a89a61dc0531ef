"""Time variants of a step in turns, and the parts of a step."""

from __future__ import annotations

import statistics
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice

import torch

from tutelage.bench.variants import RunSteps, Steps
from tutelage.measure import peak_bytes, reset_peak, wait

PARTS = ("data wait", "teacher", "student forward", "loss", "backward", "optimizer")


@dataclass(frozen=True)
class Timing:
    """The measurements of one variant."""

    seconds: tuple[float, ...]
    """Time per step in each turn."""
    peak: int | None
    """Peak memory of the last turn above the memory in use before it, or None if the system does not report it."""

    def images_per_second(self, batch_size: int) -> float:
        return batch_size / statistics.median(self.seconds)


def take_turns(variants: Mapping[str, Steps], turns: int, steps: int, device: torch.device) -> dict[str, Timing]:
    """Time each variant in ``turns`` of ``steps`` steps, after a warm-up turn.

    The variants take turns, so that slow changes in the machine's speed affect all of them.
    """
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


def speed_ratio(timings: Mapping[str, Timing], name: str) -> float:
    """Return the ratio of the throughputs of two variants, as the median over the turns.

    Args:
        timings: Timings by variant.
        name: The two variants, such as ``floor_live/live``.

    Example:
        >>> speed_ratio({"a": Timing((1.0, 1.0), None), "b": Timing((2.0, 4.0), None)}, "a/b")
        3.0
    """
    of, over = name.split("/")
    return statistics.median(b / a for a, b in zip(timings[of].seconds, timings[over].seconds))


def time_parts(run: RunSteps, count: int) -> dict[str, float]:
    """Return the mean time in milliseconds of each of ``PARTS``, over ``count`` steps with a live teacher.

    The host waits for the device after every part, so on a GPU the sum is larger than the time of a step. ``teacher``
    includes computing targets from its features, and ``loss`` includes the connectors.
    """
    seconds: dict[str, float] = defaultdict(float)
    distiller, engine, optimizer = run.distiller, run.engine, run.step.optimizer
    last = 0.0

    def lap(part: str) -> None:
        nonlocal last
        wait(engine.device)
        now = time.perf_counter()
        seconds[part] += now - last
        last = now

    batches = run.batches()
    next(batches)  # loader workers start with the first batch
    last = time.perf_counter()
    for fed in islice(batches, count):
        lap("data wait")
        with engine.autocast():
            targets = distiller.targets(fed.images, fed.labels)
            lap("teacher")
            features = distiller.features(fed.images, fed.labels)
            lap("student forward")
            loss = distiller.compare(features, fed.labels, targets, fed.index_for(distiller.stage)).loss
        lap("loss")
        engine.backward(loss)
        lap("backward")
        optimizer.step()
        optimizer.zero_grad()
        lap("optimizer")
    return {part: 1000 * seconds[part] / count for part in PARTS}
