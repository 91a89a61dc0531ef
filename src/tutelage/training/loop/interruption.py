"""Report how to resume runs that end early."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tutelage.console import build_console
from tutelage.errors import TutelageError
from tutelage.runs import RunFolder
from tutelage.training.diagnosis.memory import explain, is_out_of_memory
from tutelage.training.job.job import Job
from tutelage.training.loop.preemption import Preempted

if TYPE_CHECKING:
    from accelerate import Accelerator


@contextmanager
def before_training() -> Iterator[None]:
    """Report that a signal stopped the run before training, so that there is nothing to resume."""
    try:
        yield
    except (KeyboardInterrupt, SystemExit):
        build_console().print("stopped before training began", highlight=False)
        raise


@contextmanager
def resumable(job: Job, engine: Accelerator) -> Iterator[None]:
    """Report how to resume a run that is stopped, or that runs out of disk space or memory."""
    path = job.path
    try:
        yield
    except (KeyboardInterrupt, Preempted) as stop:
        if isinstance(stop, Preempted) and engine.is_main_process:
            RunFolder(path).stopped.touch()
        said = f"stopped; the last checkpoint is kept. To resume: tutelage resume {path}"
        build_console().print(said, highlight=False, soft_wrap=True)
        raise
    except OSError as error:
        raise TutelageError(
            f"{error.filename or path}: {error.strerror or error}. The last checkpoint is kept; once this is fixed: "
            f"tutelage resume {path}"
        ) from error
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        raise explain(error, job, engine) from None
