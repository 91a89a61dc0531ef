"""What is measured: the plain loop, this package's steps with a live and a cached teacher, the floors below them."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice

import torch
import torch.nn.functional as F
from accelerate import Accelerator
from torch import Tensor, nn

from tutelage.bench.plain import plain_steps
from tutelage.distillation import TASK, Distiller, StoredTargets
from tutelage.distillation.compilation import compile_options
from tutelage.taps import folded
from tutelage.training.compilation import compile_stage
from tutelage.training.feed import Feed, build_feed
from tutelage.training.job import Job
from tutelage.training.meters import Meters
from tutelage.training.optimizer import build_optimizer
from tutelage.training.step import Step
from tutelage.training.targets import fill

Steps = Callable[[int], None]
"""Takes so many steps."""


@dataclass(frozen=True)
class Ours:
    """This package's own steps of one stage of a job, fed as in a run."""

    job: Job
    engine: Accelerator
    index: int
    """Of the stage."""
    feed: Feed
    step: Step

    @classmethod
    def of(cls, job: Job, engine: Accelerator, index: int) -> Ours:
        """Prepares the stage ``index`` of ``job`` as a run would."""
        distiller, settings = job.distiller, job.settings
        stage = distiller.enter(index)
        optimizer = build_optimizer(distiller.parameters(), stage.optimizer or settings.optimizer)
        module, optimizer = engine.prepare(distiller.train(), optimizer)
        compile_stage(distiller, settings.compile)
        step = Step(engine, module, optimizer, job.student, clip=settings.clip, parts=settings.accumulate)
        return cls(job, engine, index, build_feed(job, engine.device), step)

    @property
    def distiller(self) -> Distiller:
        return self.job.distiller

    def meters(self) -> Meters:
        """Returns new meters for the terms of the stage."""
        stage = self.distiller.stage
        return Meters([TASK] * (stage.task_weight > 0) + [term.name for term in stage.terms], self.engine.device)

    def live(self, count: int) -> None:
        """Takes the first ``count`` steps of an epoch with a live teacher."""
        meters = self.meters()
        for fed in islice(self.feed.epoch(0), count):
            self.step(fed.images, fed.labels, None, meters, lr=1e-3)
        meters.means()

    def cached(self, stored: StoredTargets) -> Steps:
        """Returns the same with stored targets, which the first call stores."""

        def steps(count: int) -> None:
            meters = self.meters()
            for fed in islice(self.feed.epoch(0, stored.read), count):
                targets = fed.targets if fed.targets is not None else fill(self.distiller, stored, fed, self.engine)
                self.step(fed.images, fed.labels, targets, meters, lr=1e-3)
            meters.means()

        return steps


def floor_steps(job: Job, engine: Accelerator, taught: bool) -> Steps:
    """Returns steps on one batch in memory: a student's whole step on cross-entropy, and where ``taught`` the whole
    forward passes of its teachers before it, in eval mode; in the job's precision, layout and compilation.
    """
    fed = next(build_feed(job, engine.device).epoch(0))
    student = copy.deepcopy(job.student).requires_grad_(True).train()
    if job.settings.compile in ("student", "both"):
        student.compile(options=compile_options(engine.device))
    optimizer = build_optimizer(student.parameters(), job.settings.optimizer)
    seen = _in_memory(job.distiller.normalization, fed.images)
    members = job.teacher.members if taught and job.teacher is not None else []
    teachers = [(_reader(member.network, job.settings.compile, engine.device), member) for member in members]
    shown = [(reader, _in_memory(member.normalization, fed.images)) for reader, member in teachers]

    def steps(count: int) -> None:
        for _ in range(count):
            with engine.autocast():
                with torch.no_grad():
                    for reader, images in shown:
                        reader(images)
                loss = F.cross_entropy(student(seen), fed.labels)
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
        loss.item()

    return steps


def _in_memory(normalization: nn.Module, images: Tensor) -> Tensor:
    return normalization(images).contiguous(memory_format=torch.channels_last)


def _reader(network: nn.Module, compiled: str, device: torch.device) -> nn.Module:
    """The network as a teacher runs it: batch normalisations folded, to its logits."""
    reader = folded(network, (), logits=True)
    if compiled in ("teacher", "both"):
        reader.compile(options={**compile_options(device), "freezing": True})
    return reader


def plain_variant(job: Job, engine: Accelerator, index: int) -> Steps | None:
    """Returns the plain loop for the stage, on copies of the networks; None where there is none for its method."""
    stage, teacher = job.distiller.stages[index], job.teacher
    if teacher is None or len(teacher.members) > 1:
        return None
    networks = _contiguous(teacher.network), _contiguous(job.student)
    return plain_steps(job.data, *networks, stage, job.settings.batch_size, engine.device)


def _contiguous(network: nn.Module) -> nn.Module:
    return copy.deepcopy(network).to(memory_format=torch.contiguous_format).requires_grad_(True)
