"""Time steps before a run."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from tutelage.distillation import Distiller
from tutelage.measure import DTYPES, wait
from tutelage.terms import alone
from tutelage.training.engine import AUTOCAST


@dataclass(frozen=True)
class StepTrial:
    """A batch on the device for timing steps."""

    distiller: Distiller
    images: Tensor
    labels: Tensor

    @property
    def device(self) -> torch.device:
        return self.images.device

    @property
    def index(self) -> Tensor:
        return torch.arange(len(self.images), device=self.device)

    def step(self, precision: str) -> float:
        """Take a step with the teacher, without the update, and return its time in seconds."""
        return self._seconds(
            precision, lambda: self.distiller(self.images, self.labels, index=self.index).loss.backward()
        )

    def teacher_pass(self, precision: str) -> float:
        """Compute the targets of the current stage, and return the time in seconds."""
        return self._seconds(precision, lambda: self.distiller.targets(self.images, self.labels))

    def student_step(self, precision: str) -> float:
        """Take a step with given targets, without the update, and return its time in seconds."""
        with _autocast(self.device, precision):
            targets = self.distiller.targets(self.images, self.labels)
        return self._seconds(
            precision, lambda: self.distiller(self.images, self.labels, targets, self.index).loss.backward()
        )

    def _seconds(self, precision: str, work: Callable[[], object]) -> float:
        wait(self.device)
        start = time.perf_counter()
        with _autocast(self.device, precision), alone():  # processes may try different numbers of steps
            work()
        wait(self.device)
        return time.perf_counter() - start


def least(seconds: Callable[[], float], tries: int) -> float:
    """Return the minimum of ``tries`` times, after a warm-up call."""
    seconds()
    return min(seconds() for _ in range(tries))


def _autocast(device: torch.device, precision: str) -> torch.autocast:
    return torch.autocast(device.type, DTYPES[precision], enabled=precision in AUTOCAST)


@contextmanager
def untouched(distiller: Distiller) -> Iterator[None]:
    """Restore weights, buffers and the random state at the end of the block, and clear the gradients."""
    saved = {name: value.clone() for name, value in distiller.state_dict().items()}
    device = next(distiller.parameters()).device
    try:
        with torch.random.fork_rng([device] if device.type == "cuda" else []):
            yield
    finally:
        distiller.load_state_dict(saved)
        distiller.zero_grad(set_to_none=True)
