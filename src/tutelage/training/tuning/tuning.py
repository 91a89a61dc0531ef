"""Choose settings that are ``auto`` before the first step, by timing."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import torch

from tutelage.config import RunSettings
from tutelage.console import phase
from tutelage.errors import TutelageError
from tutelage.training.engine import agree, find_process
from tutelage.training.feeding.feed import build_feed
from tutelage.training.job.job import Job
from tutelage.training.tuning.compilation import COMPILE_SECONDS, choose_compilation
from tutelage.training.tuning.cost import Lengths, Pace, data_seconds, describe_cost
from tutelage.training.tuning.precision import LEAST_STEPS, Precision, choose_precision, default_precision, has_bf16
from tutelage.training.tuning.trial import StepTrial, least, untouched

if TYPE_CHECKING:
    from accelerate import PartialState


SHARE = 0.05
"""Fraction of the run that a trial may take."""
LEAST_MEASURED = 2
"""Minimum number of steps to estimate the cost of a run: a warm-up step and a timed step."""
TOO_SHORT = "the run is too short for a trial"
GIVEN = "as set"


@dataclass(frozen=True)
class Tuned:
    """A job whose ``precision`` and ``compile`` are chosen."""

    job: Job
    lines: tuple[str, ...]
    """Lines for the plan: the choices with their reasons, and the estimated cost of the run."""


def tune(job: Job) -> Tuned:
    """Choose ``precision`` and ``compile`` for this hardware, the same in every process, and estimate the run's cost.

    A trial takes about :data:`SHARE` of the run. If the run is too short for that, it uses defaults for its hardware.

    Raises:
        TutelageError: If the device does not support the precision or compilation in the settings.
    """
    settings, process = job.settings, find_process(job.settings.device)
    _check(settings, process.device)
    allowed = SHARE * Lengths.of(job).whole
    if allowed < LEAST_MEASURED:
        precision = _untried(settings, process.device, TOO_SHORT)
        compiled, pace = ("off", TOO_SHORT) if settings.compile == "auto" else (settings.compile, GIVEN), None
    else:
        with phase("trying a few steps"):
            # All processes use the timing of the first one.
            precision, compiled, pace = agree(_try(job, process, allowed))
    settings = settings.model_copy(update={"precision": precision.name, "compile": compiled[0]})
    tuned = replace(job, settings=settings)
    chosen = f"chosen   precision {precision.name} ({precision.why}), compile {compiled[0]} ({compiled[1]})"
    return Tuned(tuned, (chosen, *([describe_cost(tuned, pace)] if pace is not None else [])))


def _check(settings: RunSettings, device: torch.device) -> None:
    if settings.precision in ("fp16", "tf32") and device.type == "cpu":
        raise TutelageError(
            f"precision={settings.precision} needs a GPU, and this run is on the CPU; set precision=auto, bf16 or fp32"
        )
    if settings.compile == "graphs" and (device.type == "cpu" or settings.accumulate > 1):
        # The graph of the next part may overwrite the gradients of this part.
        raise TutelageError("compile=graphs needs a GPU and accumulate=1; set compile=both")


def _try(job: Job, process: PartialState, allowed: float) -> tuple[Precision, tuple[str, str], Pace]:
    """Take about as many steps as are ``allowed``, and try compilation if the run is long enough."""
    settings, parts = job.settings, job.settings.accumulate
    job.distiller.to(process.device).enter(len(job.distiller.stages) - 1)
    with untouched(job.distiller):
        trial = _trial(job, process)
        start = time.perf_counter(), time.process_time()
        precision = _precision(settings, trial, allowed * parts)
        step = parts * (precision.seconds or least(partial(trial.step, precision.name), 1))
        wall, cpu = time.perf_counter() - start[0], time.process_time() - start[1]
        teacher = parts * trial.teacher_pass(precision.name) if job.distiller.stage.needs_teacher else 0.0
        own = settings.batch_size // process.num_processes
        data = data_seconds(job.data.train, own, process.device, step)
        pace = Pace(step, min(step, teacher), data)
        # Compilation runs on the CPU. If other processes use the CPU, it slows down by the same factor as the steps.
        crowding = max(1.0, wall / cpu) if process.device.type == "cpu" else 1.0
        return precision, _compilation(job, trial, precision.name, pace, crowding), pace


def _precision(settings: RunSettings, trial: StepTrial, allowed: float) -> Precision:
    if settings.precision != "auto" or allowed < LEAST_STEPS:
        return _untried(settings, trial.device, TOO_SHORT)
    if not has_bf16(trial.device):
        return _untried(settings, trial.device, f"this {trial.device.type.upper()} has no bf16")
    return choose_precision(trial.step, allowed)


def _untried(settings: RunSettings, device: torch.device, why: str) -> Precision:
    if settings.precision != "auto":
        return Precision(settings.precision, GIVEN)
    return Precision(default_precision(device), why)


def _compilation(job: Job, trial: StepTrial, precision: str, pace: Pace, crowding: float) -> tuple[str, str]:
    """Return the choice and its reason; ``crowding`` is the slowdown of this process by others on the same CPU."""
    if job.settings.compile != "auto":
        return job.settings.compile, GIVEN
    if job.distiller.stage.differentiates:
        return "off", "a gradient of the image cannot be compiled"
    if SHARE * pace.training(Lengths.of(job)) < COMPILE_SECONDS * crowding:
        return "off", "compiling would take longer than it saves in this run"
    with phase("trying torch.compile"):
        return choose_compilation(trial, precision), "faster in the trial"


def _trial(job: Job, process: PartialState) -> StepTrial:
    """Return a trial with the part of a batch that is in memory at once."""
    fed = next(build_feed(job, process.device, process.process_index, process.num_processes).epoch(0))
    size = -(-len(fed.images) // job.settings.accumulate)
    return StepTrial(job.distiller, fed.images[:size], fed.labels[:size])
