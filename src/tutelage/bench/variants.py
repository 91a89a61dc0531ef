"""What is measured: the plain loop, this package's steps with a live and a cached teacher, the floors below them."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tutelage.bench.plain import plain_steps
from tutelage.distillation import Distiller, StoredTargets, compile_frozen
from tutelage.taps import folded
from tutelage.training.feeding import Fed, Stored, build_feed, targets_of
from tutelage.training.job import Job
from tutelage.training.loop import Meters, Step, build_optimizer, moving_average
from tutelage.training.tuning import compile_stage, compiles_student, compiles_teacher

if TYPE_CHECKING:
    from accelerate import Accelerator


Steps = Callable[[int], None]
"""Takes so many steps."""


@dataclass(frozen=True)
class Ours:
    """This package's own steps of one stage of a job, fed as in a run."""

    job: Job
    engine: Accelerator
    step: Step

    @classmethod
    def of(cls, job: Job, engine: Accelerator, index: int) -> Ours:
        """Prepares the stage ``index`` of ``job`` as a run would."""
        distiller, settings = job.distiller, job.settings
        stage = distiller.enter(index)
        optimizer = build_optimizer(distiller.parameters(), stage.optimizer or job.optimization.optimizer)
        module, optimizer = engine.prepare(distiller.train(), optimizer)
        compile_stage(distiller, settings.compile)
        averaged = moving_average(job.student, settings.ema)
        return cls(
            job,
            engine,
            Step(engine, module, optimizer, job.student, job.optimization.clip, settings.accumulate, averaged),
        )

    @property
    def distiller(self) -> Distiller:
        return self.job.distiller

    def batches(self, stored: Stored | None = None, window: int | None = None) -> Iterator[Fed]:
        """Yields the batches of a feed of its own without end: whole epochs, or the first ``window`` of one anew."""
        feed = build_feed(self.job, self.engine.device)
        while True:
            yield from islice(feed.epoch(0, stored), window)

    def steps(self, stored: StoredTargets | None = None, window: int | None = None) -> Steps:
        """Returns steps with a live teacher, or with ``stored`` targets of so many batches, made by the first."""
        batches = self.batches(stored.read if stored is not None else None, window)

        def take(count: int) -> None:
            meters = Meters(self.distiller.term_names, self.engine.device)
            for fed in islice(batches, count):
                targets = targets_of(self.job, stored, fed, self.engine)
                self.step(fed.images, fed.labels, targets, meters, lr=1e-3)
            meters.means()

        return take


def floor_steps(job: Job, engine: Accelerator, taught: bool) -> Steps:
    """Returns steps on one batch in memory: a student's whole step on cross-entropy, and where ``taught`` the whole
    forward passes of its teachers before it, in eval mode; in the job's precision, layout and compilation.
    """
    fed = next(build_feed(job, engine.device).epoch(0))
    student = copy.deepcopy(job.student).requires_grad_(True).train()
    if compiles_student(job.settings.compile):
        student.compile(options={"triton.cudagraphs": job.settings.compile == "graphs"})
    optimizer = build_optimizer(student.parameters(), job.optimization.optimizer)
    seen = _in_memory(job.distiller.normalization, fed.images)
    members = job.teacher.members if taught and job.teacher is not None else []
    teachers = [(_reader(member.network, job.settings.compile), member) for member in members]
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


def _reader(network: nn.Module, compiled: str) -> nn.Module:
    """The network as a teacher runs it: batch normalisations folded, to its logits."""
    reader = folded(network, (), logits=True)
    if compiles_teacher(compiled):
        compile_frozen(reader, compiled == "graphs")
    return reader


def plain_variant(job: Job, engine: Accelerator, index: int) -> Steps | None:
    """Returns the plain loop for the stage, on copies of the networks; None where there is none for its method."""
    stage, teacher = job.distiller.stages[index], job.teacher
    if teacher is None or len(teacher.members) > 1:
        return None
    networks = _contiguous(teacher.members[0].network), _contiguous(job.student)
    return plain_steps(job.data, *networks, stage, job.settings.batch_size, engine.device)


def _contiguous(network: nn.Module) -> nn.Module:
    return copy.deepcopy(network).to(memory_format=torch.contiguous_format).requires_grad_(True)
