"""How long a step takes, found out before a run by taking a few."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from tutelage.distillation import Distiller

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class Trial:
    """A batch on the device to try steps with; weights, buffers, gradients and random state stay as they were."""

    images: Tensor
    labels: Tensor
    tries: int = 3
    """Timed after one that is not; the least of their times counts."""

    @property
    def device(self) -> torch.device:
        return self.images.device

    def step_seconds(self, distiller: Distiller, precision: str) -> float:
        """Returns the least time of a forward and backward pass with the teacher's, in seconds."""
        with _untouched(distiller), self._autocast(precision):
            return self._least(lambda: distiller(self.images, self.labels).loss.backward())

    def teacher_seconds(self, distiller: Distiller, precision: str) -> float:
        """Returns the least time that the current stage's targets take, in seconds."""
        with self._autocast(precision):
            return self._least(lambda: distiller.targets(self.images, self.labels))

    def student_seconds(self, distiller: Distiller, precision: str) -> float:
        """Returns the least time of a forward and backward pass whose targets are there, in seconds."""
        with _untouched(distiller), self._autocast(precision):
            targets = distiller.targets(self.images, self.labels)
            return self._least(lambda: distiller(self.images, self.labels, targets).loss.backward())

    def _autocast(self, precision: str) -> torch.autocast:
        return torch.autocast(self.device.type, DTYPES[precision], enabled=precision != "fp32")

    def _least(self, work: Callable[[], object]) -> float:
        work()  # what is set up on the first call is not part of it
        return min(self._seconds(work) for _ in range(self.tries))

    def _seconds(self, work: Callable[[], object]) -> float:
        wait(self.device)
        start = time.perf_counter()
        work()
        wait(self.device)
        return time.perf_counter() - start


def wait(device: torch.device) -> None:
    """Returns when the device has done all that is queued."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


@contextmanager
def _untouched(distiller: Distiller) -> Iterator[None]:
    saved = {name: value.clone() for name, value in distiller.state_dict().items()}
    device = next(distiller.parameters()).device
    try:
        with torch.random.fork_rng([device] if device.type == "cuda" else []):
            yield
    finally:
        distiller.load_state_dict(saved)
        distiller.zero_grad(set_to_none=True)
