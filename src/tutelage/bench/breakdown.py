"""Where the time of a step goes."""

from __future__ import annotations

import time
from collections import defaultdict
from itertools import islice

from tutelage.bench.variants import Ours
from tutelage.measure import wait

PARTS = ("data wait", "teacher", "student forward", "loss", "backward", "optimiser")


def time_parts(ours: Ours, count: int) -> dict[str, float]:
    """Returns the milliseconds a step spends in each of ``PARTS``, mean over ``count`` steps with a live teacher.

    The host waits for the device after every part, so on a GPU the sum is more than a step takes otherwise. ``teacher``
    includes the targets made of its features, ``loss`` the connectors.
    """
    seconds: dict[str, float] = defaultdict(float)
    distiller, engine, optimizer = ours.distiller, ours.engine, ours.step.optimizer
    last = 0.0

    def lap(part: str) -> None:
        nonlocal last
        wait(engine.device)
        now = time.perf_counter()
        seconds[part] += now - last
        last = now

    batches = ours.batches()
    next(batches)  # workers start with the first
    last = time.perf_counter()
    for fed in islice(batches, count):
        lap("data wait")
        with engine.autocast():
            targets = distiller.targets(fed.images, fed.labels)
            lap("teacher")
            features = distiller.features(fed.images, fed.labels)
            lap("student forward")
            loss = distiller.compare(features, fed.labels, targets).loss
        lap("loss")
        engine.backward(loss)
        lap("backward")
        optimizer.step()
        optimizer.zero_grad()
        lap("optimiser")
    return {part: 1000 * seconds[part] / count for part in PARTS}
