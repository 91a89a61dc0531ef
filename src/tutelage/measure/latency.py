"""How long one forward pass takes."""

from __future__ import annotations

import copy
import os
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from tutelage.measure.timing import wait

SECONDS = 0.5
"""What one measurement takes, warm-up apart."""
FEWEST = 5
"""Passes that are timed however long they take."""


@torch.no_grad()
def measure_latency(network: nn.Module, size: tuple[int, int], batch_size: int) -> float:
    """Returns the median time of a forward pass in milliseconds.

    It is that of ``network`` as it is used: in eval mode, without gradients, in channels_last, on the device it is on,
    with as many CPU threads as PyTorch is set to. A copy is measured; the network stays as it is.

    Args:
        network: takes float images (B, 3, H, W).
        size: (H, W) in pixels.
        batch_size: B.
    """
    network = copy.deepcopy(network).eval().to(memory_format=torch.channels_last)
    device = next(network.parameters()).device
    images = torch.rand(batch_size, 3, *size, device=device).contiguous(memory_format=torch.channels_last)

    def work() -> None:
        network(images)
        wait(device)

    return median_milliseconds(work)


def median_milliseconds(work: Callable[[], object]) -> float:
    """Returns the median time of ``work`` in milliseconds, repeated for about half a second after a warm-up."""
    for _ in range(3):
        work()
    times: list[float] = []
    while len(times) < FEWEST or sum(times) < SECONDS:
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return 1000 * statistics.median(times)


def describe_machine() -> str:
    """Returns what a CPU latency was measured on: processor, cores, and the threads PyTorch uses."""
    threads = torch.get_num_threads()
    return f"{_processor()}, {os.cpu_count()} cores, {threads} thread{'s' if threads > 1 else ''}"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())
