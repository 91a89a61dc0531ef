"""What is seen, or done, after every step of a run in this process."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from tutelage.config import DistillSettings, TrainSettings, load
from tutelage.console import Advance
from tutelage.runs.folder import RunFolder
from tutelage.training.engine import build_engine
from tutelage.training.feeding.targets import open_targets
from tutelage.training.job.job import build_job
from tutelage.training.loop.fit import Fit
from tutelage.training.loop.step import Step
from tutelage.training.tuning.tuning import tune


@dataclass
class Watch:
    """A display that keeps, for every step of a run, its loss and the student after it."""

    student: nn.Module
    losses: list[float] = field(default_factory=list)
    students: list[dict[str, Tensor]] = field(default_factory=list)
    _total: float = 0.0
    _steps: int = 0

    def start(self, label: str, done: int) -> None:
        self._total, self._steps = 0.0, 0

    def advance(self, done: int, terms: dict[str, float], speed: float, cached: float | None = None) -> None:
        # What is shown are means over the epoch so far.
        self._steps += 1
        total = self._steps * terms["loss"]
        self.losses.append(total - self._total)
        self._total = total
        self.students.append({name: value.clone() for name, value in self.student.state_dict().items()})

    def validating(self, images: int) -> AbstractContextManager[Advance]:
        return nullcontext(lambda count: None)

    def finish(self, line: str) -> None: ...


def watch(**config: Any) -> tuple[Fit, Watch]:
    """Trains as ``train`` or ``distill`` does, up to the files that end a run; returns the training and its watch."""
    kind = TrainSettings if "model" in config else DistillSettings
    job = tune(build_job(load(kind, {**config, "log_every": 1}))).job
    engine = build_engine(job.settings.precision, job.settings.device)
    job.distiller.to(engine.device)
    targets = open_targets(job, engine)
    folder = RunFolder(job.path)
    folder.create(job.settings.overwrite)
    torch.manual_seed(job.settings.seed)
    seen = Watch(job.student)
    fit = Fit(job, engine, folder, seen, None, targets)  # type: ignore[arg-type]
    fit.run()
    return fit, seen


def at_step(count: int, act: Callable[[], object]) -> None:
    """Has ``act`` done at the end of the step of that number, from now on."""
    original, taken = Step.__call__, 0

    def call(self: Step, *arguments: Any) -> None:
        nonlocal taken
        original(self, *arguments)
        taken += 1
        if taken == count:
            act()

    Step.__call__ = call  # type: ignore[method-assign]
