"""The variants to measure: steps of a run with a live or cached teacher, and lower bounds on their time (floors)."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tutelage.distillation import Distiller, StoredTargets, compile_frozen
from tutelage.taps import folded
from tutelage.training.feeding import Fed, Stored, build_feed, targets_of
from tutelage.training.job import Job
from tutelage.training.loop import (
    BufferBackup,
    GradientWatch,
    Meters,
    Step,
    build_optimizer,
    measures_gradients,
    moving_average,
)
from tutelage.training.tuning import compile_stage, compiles_student, compiles_teacher

if TYPE_CHECKING:
    from accelerate import Accelerator


Steps = Callable[[int], None]
"""A function that takes the given number of steps."""


@dataclass(frozen=True)
class RunSteps:
    """The steps of a run in one stage of a job, with the run's data loading."""

    job: Job
    engine: Accelerator
    step: Step
    buffers: BufferBackup

    @classmethod
    def of(cls, job: Job, engine: Accelerator, index: int) -> RunSteps:
        """Prepare the stage ``index`` of ``job`` as a run would."""
        distiller, settings = job.distiller, job.settings
        stage = distiller.enter(index)
        optimizer = build_optimizer(distiller.parameters(), stage.optimizer or job.optimization.optimizer)
        module, optimizer = engine.prepare(distiller.train(), optimizer)
        compile_stage(distiller, settings.compile)
        averaged = moving_average(job.student, settings.ema)
        step = Step(engine, module, optimizer, job.student, job.optimization.clip, settings.accumulate, averaged)
        return cls(job, engine, step, BufferBackup(distiller, *([averaged] if averaged is not None else [])))

    @property
    def distiller(self) -> Distiller:
        return self.job.distiller

    def batches(self, stored: Stored | None = None, window: int | None = None) -> Iterator[Fed]:
        """Yield batches endlessly: whole epochs, or the first ``window`` batches repeatedly."""
        feed = build_feed(self.job, self.engine.device)
        while True:
            yield from islice(feed.epoch(0, stored), window)

    def steps(self, stored: StoredTargets | None = None, window: int | None = None) -> Steps:
        """Return steps with a live teacher, or with ``stored`` targets, which the first ``window`` batches fill."""
        batches = enumerate(self.batches(stored.read if stored is not None else None, window))
        watch = GradientWatch(self.job.student)

        def take(count: int) -> None:
            meters = Meters(self.distiller.term_names, self.engine.device)
            for place, fed in islice(batches, count):
                targets = targets_of(self.job, stored, fed, self.engine)
                measured = watch if measures_gradients(self.job.settings, place) else None
                self.buffers.save(meters.stopped)
                self.step(fed.images, fed.labels, targets, meters, 1e-3, measured, fed.index_for(self.distiller.stage))
            meters.means()

        return take


def floor_steps(job: Job, engine: Accelerator, taught: bool) -> Steps:
    """Return steps on one batch in memory, with the precision, memory layout and compilation of the job.

    A step trains the student with the cross-entropy. If ``taught``, it starts with full forward passes of the teachers.
    """
    fed = next(build_feed(job, engine.device).epoch(0))
    student = copy.deepcopy(job.student).requires_grad_(True).train()
    if compiles_student(job.settings.compile):
        student.compile(options={"triton.cudagraphs": job.settings.compile == "graphs"})
    optimizer = build_optimizer(student.parameters(), job.optimization.optimizer)
    seen = _in_memory(job.distiller.normalization, fed.images)
    members = job.teacher.members if taught and job.teacher is not None else []
    teachers = [
        (_as_teacher(member.network, job.settings.compile), _in_memory(member.normalization, fed.images))
        for member in members
    ]

    def steps(count: int) -> None:
        for _ in range(count):
            with engine.autocast():
                with torch.no_grad():
                    for teacher, images in teachers:
                        teacher(images)
                loss = F.cross_entropy(student(seen), fed.labels)
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
        loss.item()

    return steps


def _in_memory(normalization: nn.Module, images: Tensor) -> Tensor:
    return normalization(images).contiguous(memory_format=torch.channels_last)


def _as_teacher(network: nn.Module, compiled: str) -> nn.Module:
    """Return the network as teachers run it for logits, with folded batch normalizations."""
    teacher = folded(network, (), logits=True)
    if compiles_teacher(compiled):
        compile_frozen(teacher, compiled == "graphs")
    return teacher
