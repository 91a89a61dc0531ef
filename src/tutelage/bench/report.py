"""``bench``: measure a job and report the results as a table and as JSON."""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from pydantic import BaseModel, ConfigDict
from rich.console import Group
from rich.filesize import decimal
from rich.table import Table
from rich.text import Text

from tutelage.bench.settings import BenchSettings
from tutelage.bench.timing import Timing, speed_ratio, take_turns, time_parts
from tutelage.bench.variants import RunSteps, Steps, floor_steps
from tutelage.config import DistillSettings, load, register_networks
from tutelage.console import build_console, phase
from tutelage.distillation import CacheSettings, StoredTargets
from tutelage.errors import TutelageError
from tutelage.runs import describe_device, git_commit, package_versions
from tutelage.training import build_engine
from tutelage.training.feeding import open_targets
from tutelage.training.job import Job, build_job, check_cacheable
from tutelage.training.tuning import tune

if TYPE_CHECKING:
    from accelerate import Accelerator


VARIANTS = {
    "live": "a step of tutelage distill",
    "cached": "the same with cached teacher outputs",
    "floor_live": "teacher's forward pass and student's step, on one batch in memory",
    "floor_student": "student's step, on one batch in memory",
}
RATIOS = ("floor_live/live", "floor_student/cached")
"""Throughput of the first variant divided by that of the second."""


class Report(BaseModel):
    """The result of :func:`bench`."""

    model_config = ConfigDict(frozen=True)

    teacher: str | None
    student: str
    method: str
    stage: str
    data: str
    batch_size: int
    precision: str
    compile: str
    device: str
    threads: int
    turns: int
    steps: int
    images_per_second: dict[str, float]
    """Throughput by variant: the median over its turns."""
    ratios: dict[str, float]
    """Ratios of throughputs: the median over the turns."""
    peak_bytes: dict[str, int | None]
    """Peak memory of a turn above the memory in use before it, without loader workers."""
    milliseconds: dict[str, float]
    """Time that each part of a step with a live teacher takes."""
    missing: dict[str, str]
    """Variants that were not measured, with the reason."""
    git: str | None
    packages: dict[str, str]


@dataclass(frozen=True)
class Setup:
    """A job that is ready to be measured in one stage."""

    job: Job
    engine: Accelerator
    index: int
    """Index of the measured stage: the first with a teacher, or else the last."""
    run: RunSteps
    variants: dict[str, Steps]
    missing: dict[str, str]

    def report(self, timings: dict[str, Timing], turns: int, steps: int) -> Report:
        """Time the parts of a step, and return the report with the ``timings`` of the variants."""
        job = self.job
        batch_size = min(job.settings.batch_size, len(job.data.train))
        return Report(
            teacher=job.teacher.name if job.teacher is not None else None,
            student=job.spec.name,
            method=job.method,
            stage=job.distiller.stages[self.index].name,
            data=job.data.name,
            batch_size=batch_size,
            precision=job.settings.precision,
            compile=job.settings.compile,
            device=describe_device(self.engine.device),
            threads=torch.get_num_threads(),
            turns=turns,
            steps=steps,
            images_per_second={name: timing.images_per_second(batch_size) for name, timing in timings.items()},
            ratios={name: speed_ratio(timings, name) for name in RATIOS if set(name.split("/")) <= timings.keys()},
            peak_bytes={name: timing.peak for name, timing in timings.items()},
            milliseconds=time_parts(self.run, steps),
            missing=self.missing,
            git=git_commit(),
            packages=package_versions(),
        )


def bench(**config: Any) -> Report:
    """Measure how fast ``distill(**config)`` trains, compared with the time that its networks take alone.

    The first stage with a teacher is measured. The teacher may have random weights. The result is printed as a table,
    and written as JSON to the file ``out`` if it is set.

    Raises:
        TutelageError: For the same reasons as :func:`tutelage.distill`.
    """
    settings: Any = load(BenchSettings, config)
    register_networks(settings)
    with tempfile.TemporaryDirectory() as folder:
        setup = prepare(settings, Path(folder))
        with phase(f"taking turns of {settings.steps} steps"):
            timings = take_turns(setup.variants, settings.turns, settings.steps, setup.engine.device)
            report = setup.report(timings, settings.turns, settings.steps)
    if settings.out is not None:
        settings.out.parent.mkdir(parents=True, exist_ok=True)
        settings.out.write_text(json.dumps(report.model_dump(), indent=2) + "\n", encoding="utf-8")
    build_console().print(table(report))
    return report


def prepare(settings: Any, folder: Path) -> Setup:
    """Build the job and the variants to measure.

    Args:
        settings: The settings of ``bench``.
        folder: An empty folder for the cached teacher outputs; keep it until the measurement is over.
    """
    cache = CacheSettings(**{**settings.cache.model_dump(), "views": 1, "folder": folder})
    with phase("preparing data and networks"):
        job = build_job(settings.model_copy(update={"cache": CacheSettings()}))
    job = tune(job).job
    stages = job.distiller.stages
    index = next((place for place, stage in enumerate(stages) if stage.needs_teacher), len(stages) - 1)
    engine = build_engine(job.settings.precision, settings.device)
    job.distiller.to(engine.device)
    missing: dict[str, str] = {}
    stored = _stored(replace(job, settings=job.settings.model_copy(update={"cache": cache})), engine, index, missing)
    run = RunSteps.of(job, engine, index)
    variants = {
        "live": run.steps(),
        **({"cached": run.steps(stored, settings.steps)} if stored is not None else {}),
        "floor_live": floor_steps(job, engine, taught=True),
        "floor_student": floor_steps(job, engine, taught=False),
    }
    return Setup(job, engine, index, run, variants, missing)


def _stored(job: Job, engine: Accelerator, index: int, missing: dict[str, str]) -> StoredTargets | None:
    """Return the cached teacher outputs of the stage; if they cannot be cached, note the reason and return None."""
    assert isinstance(job.settings, DistillSettings)
    try:
        check_cacheable(job.settings, job.distiller.stages)
        targets = open_targets(job, engine)
    except TutelageError as error:
        missing["cached"] = str(error)
        return None
    return targets.stages.get(index) if targets is not None else None


def table(report: Report) -> Group:
    """Return the report as tables and text for the terminal."""
    head = (
        f"{report.teacher} → {report.student}, {report.method}, stage {report.stage}, {report.data}, batch "
        f"{report.batch_size}, {report.precision}, compile {report.compile}, {report.device}, {report.threads} threads"
    )
    speeds = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("variant", "images/s", "memory beyond the networks", ""):
        speeds.add_column(column, justify="right" if column in ("images/s", "memory beyond the networks") else "left")
    for name, what in VARIANTS.items():
        if name in report.images_per_second:
            peak = report.peak_bytes[name]
            size = decimal(peak) if peak is not None else ""
            speeds.add_row(name, f"{report.images_per_second[name]:,.1f}", size, what)
        elif name in report.missing:
            speeds.add_row(name, "", "", f"not measured: {report.missing[name]}")
    total = sum(report.milliseconds.values())
    spent = ", ".join(f"{part} {ms:.1f} ms ({100 * ms / total:.0f} %)" for part, ms in report.milliseconds.items())
    ratios = "   ".join(f"{name} {ratio:.2f}" for name, ratio in report.ratios.items())
    return Group(Text(head), speeds, Text(f"ratios   {ratios}"), Text(f"a live step: {spent}"))
