"""The time of one forward pass."""

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
"""Bounds on the time that a measurement takes, apart from its warm-up."""


@torch.no_grad()
def measure_latency(network: nn.Module, size: tuple[int, int], batch_size: int) -> float:
    """Return the median time of a forward pass in milliseconds.

    A copy of the network is measured as it is used: in eval mode, without gradients, in channels_last, on its device
    and with PyTorch's current number of CPU threads.

    Args:
        network: Takes float images (B, 3, H, W).
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
    """Return the median time of ``work`` in milliseconds, after a warm-up.

    It is repeated until the quartiles of its times are within a tenth of the median, for 0.2 to 2 seconds.
    """
    # The import takes a second, and warns of a CUDA toolkit without a GPU.
    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)
    from torch.utils.benchmark import Timer

    timer = Timer("work()", globals={"work": work}, num_threads=torch.get_num_threads())
    measured = timer.adaptive_autorange(min_run_time=FEWEST_SECONDS, max_run_time=MOST_SECONDS)
    return 1000 * measured.median


def describe_machine() -> str:
    """Return what a CPU latency was measured on: the processor, its cores, and the threads that PyTorch uses."""
    threads = torch.get_num_threads()
    return f"{_processor()}, {os.cpu_count()} cores, {threads} thread{'s' if threads > 1 else ''}"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())
