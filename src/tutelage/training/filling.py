"""``tutelage cache``: compute the targets of a run in advance, on any number of processes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from tutelage.config import DistillSettings, load, register_networks
from tutelage.console import build_console, duration, phase
from tutelage.errors import TutelageError
from tutelage.models import handed_over
from tutelage.training.engine import build_engine
from tutelage.training.feeding.feed import Fed, Feed, build_feed
from tutelage.training.feeding.targets import RunTargets, compute, open_targets
from tutelage.training.job.checks import check_trained
from tutelage.training.job.finetuning import to_finetune
from tutelage.training.job.job import Job, build_job
from tutelage.training.tuning.compilation import compile_stage
from tutelage.training.tuning.tuning import tune

if TYPE_CHECKING:
    from accelerate import Accelerator


@dataclass(frozen=True)
class Filled:
    """The result of :func:`fill_cache`, over all processes."""

    folder: Path
    size: int
    """Size of all records of the run in bytes."""
    computed: int
    """Number of image views for which the teacher ran, counted once for each stage that needs them."""
    seconds: float


def fill_cache(**config: Any) -> Filled:
    """Compute and store the targets of all views that ``distill(**config)`` would show; ``cache.views`` is required.

    Targets that are already stored are skipped, so you can repeat an interrupted call. With ``accelerate launch``, the
    processes share the work.

    Raises:
        TutelageError: If ``cache.views`` is not set, the teacher is yet to be fine-tuned, the method has no teacher, or
            for the same reasons as :func:`tutelage.distill`, before anything is computed.
    """
    with handed_over(config) as named:
        settings = load(DistillSettings, named)
        register_networks(settings)
        return _fill_cache(settings)


def _fill_cache(settings: Any) -> Filled:
    if settings.cache.views is None:
        raise TutelageError("cache.views is missing; set it to the number of views of each image to store, or to all")
    if to_finetune(settings) is not None:
        raise TutelageError(
            "teacher.finetune trains the teacher within the run, so there are no targets yet; start the run with "
            "cache.views, which stores them during training, or set teacher to a fine-tuned teacher's folder"
        )
    with phase("preparing data and networks"):
        job = build_job(settings)
        check_trained(job.teacher)
    job = tune(job).job
    engine = build_engine(job.settings.precision, settings.device)
    job.distiller.to(engine.device)
    targets = open_targets(job, engine)
    if targets is None:
        raise TutelageError(f"method={settings.method} has no teacher, so there is nothing to store")
    console = build_console()
    console.print(targets.describe(), highlight=False, soft_wrap=True)
    start = time.perf_counter()
    total = int(engine.reduce(torch.tensor(_fill(job, engine, targets), device=engine.device), "sum"))
    seconds = time.perf_counter() - start
    console.print(f"computed {total:,} of them in {duration(seconds)}", highlight=False)
    return Filled(targets.cache.folder, targets.total_bytes, total, seconds)


def _fill(job: Job, engine: Accelerator, targets: RunTargets) -> int:
    """Store the missing targets of this process's share, and return the number of image views that were computed."""
    feed = build_feed(job, engine.device)
    own = targets.rows[engine.process_index :: engine.num_processes]
    computed = 0
    with phase("computing targets", len(own) * sum(map(len, targets.views.values()))) as advance:
        for index, stored in targets.stages.items():
            job.distiller.enter(index)
            first_batch = compile_stage(job.distiller, job.settings.compile)
            for view in targets.views[index]:
                missing = own[~stored.present(view, own)]
                advance(len(own) - len(missing))
                for fed in _read(feed, missing, view, job.settings.batch_size):
                    with first_batch:
                        stored.write(view, fed.rows, compute(job, fed, engine))
                    first_batch = nullcontext()
                    computed += len(np.unique(fed.rows))  # readable images replace unreadable ones
                    advance(len(fed.rows))
    return computed


def _read(feed: Feed, rows: np.ndarray, view: int, size: int) -> Iterator[Fed]:
    """Return batches of ``size`` of these samples at ``view``."""
    return feed.read([rows[start : start + size] for start in range(0, len(rows), size)], view)
