"""One epoch under way: where it stands, what is measured in it, and what it comes to."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from tutelage.terms import Stage
from tutelage.training.loop.checkpoint import Progress
from tutelage.training.loop.gradients import GradientWatch
from tutelage.training.loop.meters import Meters


@dataclass
class Epoch:
    """Epoch ``number`` of a stage and ``of_run`` of the run, both from 0, of so many steps."""

    stage: Stage
    number: int
    of_run: int
    steps: int
    batch_size: int
    meters: Meters
    watch: GradientWatch
    progress: Progress

    def __post_init__(self) -> None:
        if self.progress.terms is not None:
            self.meters.restore(self.progress.terms["meters"])
            self.watch.restore(self.progress.terms["gradients"])
        self.start = time.perf_counter() - self.progress.step_seconds

    @property
    def label(self) -> str:
        return f"{self.stage.name} {self.number + 1}/{self.stage.epochs}"

    @property
    def seconds(self) -> float:
        """Since its first step, without the time between a stop and its resumption."""
        return time.perf_counter() - self.start

    def place(self, step: int) -> int:
        """Returns the number of a step within the stage."""
        return self.number * self.steps + step

    def done(self, step: int) -> int:
        """Returns how many steps of the run come before this one."""
        return self.of_run * self.steps + step

    def keep_terms(self) -> None:
        """Puts what is measured so far into the progress, for a checkpoint within the epoch."""
        self.progress.terms = {"meters": self.meters.state(), "gradients": self.watch.state()}

    def record(self, lr: float, stored: bool) -> dict[str, Any]:
        """Returns the epoch's metrics, once its last step is taken."""
        seconds, progress = self.seconds, self.progress
        return {
            "stage": self.stage.name,
            "epoch": self.of_run + 1,
            "stage_epoch": self.number + 1,
            "lr": lr,
            **{f"train/{name}": value for name, value in self.meters.means().items()},
            **self.watch.means(),
            "time/seconds": seconds,
            "time/images_per_second": self.steps * self.batch_size / seconds,
            "time/data_wait": progress.waited / seconds,
            **({"cache/hits": progress.hits / self.steps} if stored else {}),
        }
