"""Estimate the time and disk space of a run from a few of its steps."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass

import torch
from rich.filesize import decimal
from torch import Tensor

from tutelage.config import DistillSettings
from tutelage.console import duration
from tutelage.data import DecodedSamples, Split
from tutelage.data.stored import read_image
from tutelage.errors import TutelageError
from tutelage.training.job.job import Job

SAMPLED = 16
"""Number of images that are decoded to estimate the time per image."""
FORWARD = 1 / 3
"""Fraction of a student's step for its forward pass; the backward pass takes twice as many multiply-adds."""


@dataclass(frozen=True)
class Lengths:
    """Numbers of steps and validations of a run."""

    steps: int
    taught: int
    """Steps in which the teacher runs, instead of reading cached targets."""
    validations: int
    validated: int
    """Batches per validation."""

    @property
    def whole(self) -> float:
        """Length of the run in steps, including validations and the measurement of the teacher."""
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
    """Times of the parts of a step, in seconds."""

    step: float
    """Time of a step with the teacher."""
    teacher: float
    data: float
    """Time that decoding the images of a batch adds."""

    @property
    def student(self) -> float:
        return max(0.0, self.step - self.teacher)

    def training(self, lengths: Lengths) -> float:
        """Return the time of all steps in seconds."""
        return lengths.steps * (self.student + self.data) + lengths.taught * self.teacher

    def validation(self, lengths: Lengths) -> float:
        """Return the time of one validation of the student in seconds."""
        return lengths.validated * (FORWARD * self.student + self.data)


def describe_cost(job: Job, pace: Pace) -> str:
    """Return a line with the estimated time and disk space of the run."""
    lengths = Lengths.of(job)
    training, validation = pace.training(lengths), pace.validation(lengths)
    whole = training + lengths.validations * validation
    parts = [f"about {duration(training / job.epochs)} per epoch"]
    parts += [f"{duration(validation)} per validation"] if lengths.validations else []
    return f"cost     {', '.join(parts)}, {duration(whole)} in all; checkpoints {decimal(_checkpoint_bytes(job))}"


def data_seconds(split: Split, images: int, device: torch.device, step: float) -> float:
    """Return the time in seconds that decoding a batch adds to a step, estimated from a few images.

    Worker processes decode during the step. With a GPU, this costs no time if they keep up; on a CPU, they compete with
    the step for its cores.

    Args:
        split: The training images.
        images: Number of images per batch.
        device: The device of the step.
        step: Time of a step without decoding, in seconds.
    """
    samples = split.samples
    if not isinstance(samples, DecodedSamples):
        return 0.0
    rows, decoded = samples.encoded.probes(SAMPLED), 0
    start = time.perf_counter()
    for row, draws in zip(rows.tolist(), samples.policy.draw(rows, epoch=0)):
        with suppress(TutelageError):  # training reports broken images
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
    """Return the size of two checkpoints of the whole state, the best student and the last student."""
    student, whole = (_bytes(module.state_dict().values()) for module in (job.student, job.distiller))
    moments = (1 if job.optimization.optimizer.name == "sgd" else 2) * _bytes(job.distiller.parameters())
    averaged = student if job.settings.ema is not None else 0
    return 2 * (whole + moments + averaged) + 2 * student


def _bytes(tensors: Iterable[Tensor]) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)
