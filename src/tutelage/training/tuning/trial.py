"""How long a step takes, found out before a run by taking a few."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from tutelage.distillation import Distiller
from tutelage.measure import DTYPES, wait
from tutelage.training.engine import AUTOCAST


@dataclass(frozen=True)
class StepTrial:
    """A batch on the device to try steps with, one at a time."""

    distiller: Distiller
    images: Tensor
    labels: Tensor

    @property
    def device(self) -> torch.device:
        return self.images.device

    def step(self, precision: str) -> float:
        """Take a forward and backward pass with the teacher's, and return its seconds."""
        return self._seconds(precision, lambda: self.distiller(self.images, self.labels).loss.backward())

    def teacher_pass(self, precision: str) -> float:
        """Compute the current stage's targets, and return the seconds it takes."""
        return self._seconds(precision, lambda: self.distiller.targets(self.images, self.labels))

    def student_step(self, precision: str) -> float:
        """Take a forward and backward pass whose targets are there, and return its seconds."""
        with _autocast(self.device, precision):
            targets = self.distiller.targets(self.images, self.labels)
        return self._seconds(precision, lambda: self.distiller(self.images, self.labels, targets).loss.backward())

    def _seconds(self, precision: str, work: Callable[[], object]) -> float:
        wait(self.device)
        start = time.perf_counter()
        with _autocast(self.device, precision):
            work()
        wait(self.device)
        return time.perf_counter() - start


def least(seconds: Callable[[], float], tries: int) -> float:
    """Return the least of ``tries`` times, after a call that is not counted: it sets up what the others find."""
    seconds()
    return min(seconds() for _ in range(tries))


def _autocast(device: torch.device, precision: str) -> torch.autocast:
    return torch.autocast(device.type, DTYPES[precision], enabled=precision in AUTOCAST)


@contextmanager
def untouched(distiller: Distiller) -> Iterator[None]:
    """Restore weights, buffers, gradients and the random state when the block is left."""
    saved = {name: value.clone() for name, value in distiller.state_dict().items()}
    device = next(distiller.parameters()).device
    try:
        with torch.random.fork_rng([device] if device.type == "cuda" else []):
            yield
    finally:
        distiller.load_state_dict(saved)
        distiller.zero_grad(set_to_none=True)
