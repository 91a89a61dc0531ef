"""What a run leaves to ``auto`` is decided before its first step, by timing, and written to its config."""

from __future__ import annotations

from dataclasses import replace

from accelerate import PartialState
from accelerate.utils import broadcast_object_list

from tutelage.config import DistillSettings
from tutelage.errors import TutelageError
from tutelage.training.compilation import choose_compilation
from tutelage.training.engine import find_process
from tutelage.training.feed import build_feed
from tutelage.training.job import Job
from tutelage.training.precision import choose_precision
from tutelage.training.timing import Trial


def tune(job: Job) -> Job:
    """Returns the job with ``precision`` and ``compile`` settled for this hardware, alike in every process.

    Raises :class:`TutelageError` for a precision or a compilation that the device does not have.
    """
    settings = job.settings
    process = find_process(settings.device)
    device = process.device
    if settings.precision == "fp16" and device.type == "cpu":
        raise TutelageError("precision=fp16 needs a GPU, and this run is on the CPU: give precision=auto, bf16 or fp32")
    if settings.compile == "graphs" and (device.type == "cpu" or settings.accumulate > 1):
        # Gradients of one part lie where the graph of the next may write.
        raise TutelageError("compile=graphs needs a GPU, and accumulate=1: give compile=both")
    if settings.precision != "auto" and settings.compile != "auto":
        return job
    trial = _trial(job, process)
    job.distiller.to(device).enter(len(job.distiller.stages) - 1)
    precision, compiled = settings.precision, settings.compile
    if precision == "auto":
        (precision,) = broadcast_object_list([choose_precision(job.distiller, trial)])
    if compiled == "auto":
        steps, teacher_steps = _steps(job)
        chosen = choose_compilation(job.distiller, trial, precision, steps, teacher_steps)
        (compiled,) = broadcast_object_list([chosen])
    return replace(job, settings=settings.model_copy(update={"precision": precision, "compile": compiled}))


def _trial(job: Job, process: PartialState) -> Trial:
    """The part of a batch that is in memory at once."""
    fed = next(build_feed(job, process.device, process.process_index, process.num_processes).epoch(0))
    size = -(-len(fed.images) // job.settings.accumulate)
    return Trial(fed.images[:size], fed.labels[:size])


def _steps(job: Job) -> tuple[int, int]:
    """How many steps the run takes, and in how many of them the teacher runs, at most."""
    settings, stages = job.settings, job.distiller.stages
    steps = len(job.data.train) // settings.batch_size
    taught = sum(stage.epochs for stage in stages if stage.needs_teacher)
    if isinstance(settings, DistillSettings) and settings.cache.views is not None:
        taught = settings.cache.pool(taught)
    return steps * job.epochs, steps * taught
