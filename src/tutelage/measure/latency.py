"""Measure the latency of a forward pass."""

from __future__ import annotations

import copy
import logging
import os
import platform
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from tutelage.measure.timing import wait

FEWEST_SECONDS, MOST_SECONDS = 0.2, 2.0
"""Bounds on the duration of a measurement, without its warm-up."""


@torch.no_grad()
def measure_latency(network: nn.Module, size: tuple[int, int], batch_size: int) -> float:
    """Return the median time of a forward pass in milliseconds.

    A copy of the network runs in eval mode, without gradients and in channels_last, on the network's device and with
    PyTorch's current number of CPU threads.

    Args:
        network: A network that takes float images (B, 3, H, W).
        size: Input size (H, W) in pixels.
        batch_size: Number of images B.
    """
    network = copy.deepcopy(network).eval().to(memory_format=torch.channels_last)
    device = next(network.parameters()).device
    images = torch.rand(batch_size, 3, *size, device=device).contiguous(memory_format=torch.channels_last)

    def work() -> None:
        network(images)
        wait(device)

    return median_milliseconds(work)


def median_milliseconds(work: Callable[[], object]) -> float:
    """Return the median time of ``work`` in milliseconds, after a warm-up.

    It is repeated for 0.2 to 2 seconds, until the interquartile range of its times is below a tenth of the median.
    """
    # The import takes a second, and warns about a missing CUDA toolkit on machines without a GPU.
    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)
    from torch.utils.benchmark import Timer

    timer = Timer("work()", globals={"work": work}, num_threads=torch.get_num_threads())
    measured = timer.adaptive_autorange(min_run_time=FEWEST_SECONDS, max_run_time=MOST_SECONDS)
    return 1000 * measured.median


def describe_machine() -> str:
    """Return the processor, its number of cores and PyTorch's number of threads, to be reported with latencies."""
    threads = torch.get_num_threads()
    return f"{_processor()}, {os.cpu_count()} cores, {threads} thread{'s' if threads > 1 else ''}"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())
