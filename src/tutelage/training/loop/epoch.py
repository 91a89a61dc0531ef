"""One epoch under way: its position, its measurements, and the record it ends with."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from tutelage.terms import Stage
from tutelage.training.loop.gradients import GradientWatch
from tutelage.training.loop.meters import Meters


@dataclass
class Epoch:
    """Epoch ``number`` of a stage and ``of_run`` of the run, both from 0, with its number of steps."""

    stage: Stage
    number: int
    of_run: int
    steps: int
    batch_size: int
    meters: Meters
    watch: GradientWatch
    step: int = 0
    """Steps done."""
    waited: float = 0.0
    """Seconds in which a step waited for its batch."""
    hits: int = 0
    """Batches whose targets were stored."""
    start: float = field(default_factory=time.perf_counter)

    @property
    def label(self) -> str:
        return f"{self.stage.name} {self.number + 1}/{self.stage.epochs}"

    @property
    def seconds(self) -> float:
        """Seconds since its first step, without the time between a stop and the resume."""
        return time.perf_counter() - self.start

    @property
    def place(self) -> int:
        """The number of its next step within the stage."""
        return self.number * self.steps + self.step

    @property
    def done(self) -> int:
        """Steps of the run so far."""
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
        """Continue from what :meth:`state` returned."""
        self.step, self.waited, self.hits = state["step"], state["waited"], state["hits"]
        self.start = time.perf_counter() - state["seconds"]
        self.meters.restore(state["meters"])
        self.watch.restore(state["gradients"])

    def record(self, lr: float, stored: bool) -> dict[str, Any]:
        """Return the epoch's metrics, after its last step."""
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
