"""The latency is the median of repeated passes, with the threads of the caller."""

from __future__ import annotations

import time

import torch
from torch import nn

from tutelage.measure import measure_latency, median_milliseconds


def test_the_median_is_that_of_one_call() -> None:
    seconds: list[float] = []

    def work() -> None:
        start = time.perf_counter()
        torch.ones(300, 300) @ torch.ones(300, 300)
        seconds.append(time.perf_counter() - start)

    median = median_milliseconds(work)
    assert len(seconds) > 5
    assert 1000 * min(seconds) <= median <= 1000 * max(seconds) + 1  # the timer adds a little to each call


def test_the_threads_of_the_caller_are_used_and_kept() -> None:
    before, found = torch.get_num_threads(), set()
    torch.set_num_threads(2)
    try:
        median_milliseconds(lambda: found.add(torch.get_num_threads()))
        assert found == {2} and torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_the_network_is_measured_as_it_is_used_and_stays_as_it_was() -> None:
    seen = set()

    class Watched(nn.Conv2d):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            seen.add(
                (self.training, torch.is_grad_enabled(), x.shape, x.is_contiguous(memory_format=torch.channels_last))
            )
            return super().forward(x)

    network = Watched(3, 4, 3).train()
    assert measure_latency(network, (6, 8), 2) > 0
    assert seen == {(False, False, (2, 3, 6, 8), True)}
    assert network.training and network.weight.is_contiguous()
