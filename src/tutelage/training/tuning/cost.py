"""What a run will cost, foretold from a few of its steps."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from dataclasses import dataclass

import torch
from rich.filesize import decimal
from torch import nn

from tutelage.config import DistillSettings
from tutelage.console import duration
from tutelage.data import DecodedSamples, Split
from tutelage.data.stored import read_image
from tutelage.errors import TutelageError
from tutelage.training.job.job import Job

SAMPLED = 16
"""Images that are decoded to learn how long one takes."""
FORWARD = 1 / 3
"""Part of a student's step that is its forward pass: the backward pass takes twice its multiply-adds."""


@dataclass(frozen=True)
class Lengths:
    """How many steps a run takes, and what else counts."""

    steps: int
    taught: int
    """Steps in which the teacher runs; stored targets spare the rest."""
    validations: int
    validated: int
    """Batches of a validation."""

    @property
    def whole(self) -> float:
        """All of the run, in steps; a forward pass is part of one, and the teacher is measured too."""
        return self.steps + FORWARD * self.validated * (1 + self.validations)

    @classmethod
    def of(cls, job: Job) -> Lengths:
        """Return the lengths of the run that ``job`` describes."""
        settings, stages, split = job.settings, job.distiller.stages, job.data.validation
        steps = max(1, len(job.data.train) // settings.batch_size)
        taught = sum(stage.epochs for stage in stages if stage.needs_teacher)
        if isinstance(settings, DistillSettings) and settings.cache.views is not None:
            taught = settings.cache.pool(taught)
        validations = -(-job.epochs // settings.validate_every) if split is not None else 0
        validated = -(-len(split) // settings.batch_size) if split is not None else 0
        return cls(steps * job.epochs, steps * taught, validations, validated)


@dataclass(frozen=True)
class Pace:
    """What the parts of a step take, in seconds."""

    step: float
    """With the teacher."""
    teacher: float
    data: float
    """What decoding the images of a batch adds."""

    @property
    def student(self) -> float:
        return max(0.0, self.step - self.teacher)

    def training(self, lengths: Lengths) -> float:
        """Return the seconds that all steps take."""
        return lengths.steps * (self.student + self.data) + lengths.taught * self.teacher

    def validation(self, lengths: Lengths) -> float:
        """Return the seconds that validating the student once takes."""
        return lengths.validated * (FORWARD * self.student + self.data)


def describe_cost(job: Job, pace: Pace) -> str:
    """Return one line: the time that the run will take, and the disk."""
    lengths = Lengths.of(job)
    training, validation = pace.training(lengths), pace.validation(lengths)
    whole = training + lengths.validations * validation
    parts = [f"about {duration(training / job.epochs)} per epoch"]
    parts += [f"{duration(validation)} per validation"] if lengths.validations else []
    return f"cost     {', '.join(parts)}, {duration(whole)} in all; checkpoints {decimal(_checkpoint_bytes(job))}"


def data_seconds(split: Split, images: int, device: torch.device, step: float) -> float:
    """Return what decoding the ``images`` of a batch adds to a step of ``step`` seconds, going by a few of ``split``.

    Worker processes decode while the step runs: on a GPU that is free as far as they keep up with it, on a CPU they
    take its cores.
    """
    samples = split.samples
    if not isinstance(samples, DecodedSamples):
        return 0.0
    rows, decoded = samples.encoded.probes(SAMPLED), 0
    start = time.perf_counter()
    for row, draws in zip(rows.tolist(), samples.policy.draw(rows, epoch=0)):
        with suppress(TutelageError):  # whoever trains on a broken image is told so then
            samples.policy(read_image(samples.encoded, row), draws)
            decoded += 1
    alone = images * (time.perf_counter() - start) / max(1, decoded)
    cores = os.cpu_count() or 1
    if samples.workers == 0:
        return alone
    if device.type == "cpu":
        return alone / cores
    return max(0.0, alone / min(samples.workers, cores) - step)


def _checkpoint_bytes(job: Job) -> int:
    """Two checkpoints of the whole state, the best student and the last."""
    student, trained = _bytes(job.student), _bytes(job.distiller)
    moments = 1 if job.optimization.optimizer.name == "sgd" else 2
    averaged = student if job.settings.ema is not None else 0
    return 2 * ((1 + moments) * trained + averaged) + 2 * student


def _bytes(network: nn.Module) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in network.state_dict().values())
