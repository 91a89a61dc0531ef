"""Create the folder of a run, and write the files that describe it before training."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING

from tutelage.config import RunSettings, dump
from tutelage.errors import TutelageError
from tutelage.paths import expand
from tutelage.runs import RunFolder, describe_environment
from tutelage.training.job.job import Job
from tutelage.training.job.same_data import record_data

if TYPE_CHECKING:
    from accelerate import Accelerator, PartialState


def check_folder(job: Job, settings: RunSettings) -> None:
    """Check that the run can create its folder without overwriting another run or its own inputs.

    Raises:
        TutelageError: If it would overwrite something.
    """
    folder = RunFolder(job.path)
    folder.check_free(settings.overwrite)
    read = [settings.data.name, job.spec.source]
    read += [member.source for member in job.teacher.members if member.source] if job.teacher is not None else []
    for source in read:
        path = expand(source).resolve()
        if path.exists() and path.is_relative_to(job.path.resolve()):
            raise TutelageError(f"out={job.path} contains {source}, which this run reads; set another out=…")


@contextmanager
def new_folder(job: Job, process: PartialState | Accelerator) -> Iterator[None]:
    """Create the run's folder and hold its lock; all processes must enter it, and the main process writes."""
    with _create(job) if process.is_main_process else nullcontext():
        process.wait_for_everyone()
        yield


@contextmanager
def _create(job: Job) -> Iterator[None]:
    settings, folder, environment = job.settings, RunFolder(job.path), describe_environment()
    folder.create(settings.overwrite)
    with folder.lock():
        folder.write_text("config.yaml", dump(settings.model_copy(update={"overwrite": False})))
        folder.write_json("environment.json", environment)
        folder.write_json("classes.json", list(job.data.classes))
        folder.write_json("split.json", job.data.held_out)
        folder.write_json("data.json", record_data(job.data, settings.data.name))
        yield
