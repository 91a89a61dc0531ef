"""``Epoch``: the position and the measurements of the current epoch."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from tutelage.terms import Stage
from tutelage.training.loop.gradients import GradientWatch
from tutelage.training.loop.meters import Meters


@dataclass
class Epoch:
    """The current epoch of a run."""

    stage: Stage
    number: int
    """Number of the epoch in its stage, counted from 0."""
    of_run: int
    """Number of the epoch in the run, counted from 0."""
    steps: int
    """Number of steps in the epoch."""
    batch_size: int
    meters: Meters
    watch: GradientWatch
    step: int = 0
    """Completed steps."""
    waited: float = 0.0
    """Time spent waiting for batches, in seconds."""
    hits: int = 0
    """Number of batches with cached targets."""
    start: float = field(default_factory=time.perf_counter)

    @property
    def label(self) -> str:
        return f"{self.stage.name} {self.number + 1}/{self.stage.epochs}"

    @property
    def seconds(self) -> float:
        """Duration so far in seconds, without the time between an interruption and the resume."""
        return time.perf_counter() - self.start

    @property
    def place(self) -> int:
        """Number of the next step within the stage, counted from 0."""
        return self.number * self.steps + self.step

    @property
    def done(self) -> int:
        """Completed steps of the run."""
        return self.of_run * self.steps + self.step

    @property
    def images_per_second(self) -> float:
        return self.step * self.batch_size / self.seconds

    def state(self) -> dict[str, Any]:
        """Return the position and the measurements, for a checkpoint within the epoch."""
        return {
            "step": self.step,
            "seconds": self.seconds,
            "waited": self.waited,
            "hits": self.hits,
            "meters": self.meters.state(),
            "gradients": self.watch.state(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from the result of :meth:`state`."""
        self.step, self.waited, self.hits = state["step"], state["waited"], state["hits"]
        self.start = time.perf_counter() - state["seconds"]
        self.meters.restore(state["meters"])
        self.watch.restore(state["gradients"])

    def record(self, lr: float, stored: bool) -> dict[str, Any]:
        """Return the metrics of the epoch, after its last step."""
        seconds = self.seconds
        return {
            "stage": self.stage.name,
            "epoch": self.of_run + 1,
            "stage_epoch": self.number + 1,
            "lr": lr,
            **{f"train/{name}": value for name, value in self.meters.means().items()},
            **self.watch.means(),
            "time/seconds": seconds,
            "time/images_per_second": self.steps * self.batch_size / seconds,
            "time/data_wait": self.waited / seconds,
            **({"cache/hits": self.hits / self.steps} if stored else {}),
        }
