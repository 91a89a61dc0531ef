"""``bench``: from settings to figures, as a table and as JSON."""

from __future__ import annotations

import json
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from pydantic import BaseModel, ConfigDict
from rich.console import Group
from rich.table import Table
from rich.text import Text

from tutelage.bench.breakdown import time_parts
from tutelage.bench.measure import Timing, take_turns, time_ratio
from tutelage.bench.roof import matmul_rate
from tutelage.bench.settings import BenchSettings
from tutelage.bench.variants import Ours, Steps, floor_steps, plain_variant
from tutelage.config import DistillSettings, load, register_networks
from tutelage.console import build_console, phase
from tutelage.distillation import CacheSettings, StoredTargets
from tutelage.errors import TutelageError
from tutelage.models import count_macs
from tutelage.runs import describe_device, git_commit, package_versions
from tutelage.training import build_engine
from tutelage.training.feeding import open_targets, readable
from tutelage.training.job import Job, build_job, check_cacheable
from tutelage.training.tuning import tune

if TYPE_CHECKING:
    from accelerate import Accelerator


VARIANTS = {
    "plain": "fp32, contiguous, PIL transforms in two workers, live teacher, .item() a step",
    "live": "tutelage",
    "cached": "tutelage, stored targets",
    "floor_live": "teacher's forward pass and student's step on a batch in memory",
    "floor_student": "student's step on a batch in memory",
}
RATIOS = {
    name: tuple(name.split("/")) for name in ("live/plain", "cached/plain", "floor_live/live", "floor_student/cached")
}
"""Of speeds: how many times as many images a second the first trains as the second."""


class Report(BaseModel):
    """What a measurement came to."""

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
    """Of each variant: the median of its turns."""
    ratios: dict[str, float]
    """Of images a second: the first variant's over the second's, median of the turns."""
    peak_bytes: dict[str, int | None]
    """The most memory a variant's turn took beyond what was in use before it; loader workers are not counted."""
    roof: dict[str, float]
    """Of ``floor_live`` and ``floor_student``: their multiply-adds a second, teacher's once and student's three times,
    against those of a large matrix product."""
    matmul_rate: float
    """Multiply-adds a second of that product."""
    milliseconds: dict[str, float]
    """Where a step with a live teacher spends its time."""
    missing: dict[str, str]
    """Variants that were not measured, and why."""
    git: str | None
    packages: dict[str, str]


def bench(**config: Any) -> Report:
    """Measures how fast ``distill(**config)`` trains, beside a plain loop and beside the least its networks can take.

    Measured is the first stage that has a teacher. Teachers may have random weights here. Prints a table, and writes
    JSON to the file ``out`` where one is given. Raises :class:`TutelageError` as ``distill`` does.
    """
    settings = load(BenchSettings, config)
    register_networks(settings)
    with tempfile.TemporaryDirectory() as folder:
        report = _measure(settings, Path(folder))
    if settings.out is not None:
        settings.out.parent.mkdir(parents=True, exist_ok=True)
        settings.out.write_text(json.dumps(report.model_dump(), indent=2) + "\n", encoding="utf-8")
    build_console().print(table(report))
    return report


def _measure(settings: Any, folder: Path) -> Report:
    cache = {**settings.cache.model_dump(), "views": 1, "folder": folder}
    with phase("preparing data and networks"):
        job = build_job(settings.model_copy(update={"cache": CacheSettings()}))
    job = tune(job).job
    cached = replace(job, settings=job.settings.model_copy(update={"cache": CacheSettings(**cache)}))
    stages = job.distiller.stages
    index = next((place for place, stage in enumerate(stages) if stage.needs_teacher), len(stages) - 1)
    engine = build_engine(job.settings.precision, settings.device)
    job.distiller.to(engine.device)
    missing: dict[str, str] = {}
    stored = _stored(cached, engine, index, missing)
    ours = Ours.of(job, engine, index)
    plain = plain_variant(job, engine, index)
    variants: dict[str, Steps | None] = {
        "plain": plain,
        "live": ours.steps(),
        "cached": ours.steps(stored, settings.steps) if stored is not None else None,
        "floor_live": floor_steps(job, engine, taught=True),
        "floor_student": floor_steps(job, engine, taught=False),
    }
    if plain is None:
        missing["plain"] = "the plain loop has no form of this method"
    measured = {name: steps for name, steps in variants.items() if steps is not None}
    with phase(f"taking turns of {settings.steps} steps"):
        timings = take_turns(measured, settings.turns, settings.steps, engine.device)
        parts = time_parts(ours, settings.steps)
    return _report(job, index, settings, engine.device, timings, parts, missing)


def _stored(job: Job, engine: Accelerator, index: int, missing: dict[str, str]) -> StoredTargets | None:
    """The stored targets of the stage; None, with the reason noted, where its method has none."""
    assert isinstance(job.settings, DistillSettings)
    try:
        check_cacheable(job.settings, job.distiller.stages)
        targets = open_targets(job, engine)
    except TutelageError as error:
        missing["cached"] = str(error)
        return None
    return targets.stages.get(index) if targets is not None else None


def _report(
    job: Job,
    index: int,
    settings: Any,
    device: torch.device,
    timings: dict[str, Timing],
    parts: dict[str, float],
    missing: dict[str, str],
) -> Report:
    batch_size = min(job.settings.batch_size, len(job.data.train))
    speeds = {name: timing.images_per_second(batch_size) for name, timing in timings.items()}
    ratios = {
        name: time_ratio(timings[over], timings[of])
        for name, (of, over) in RATIOS.items()
        if of in timings and over in timings
    }
    rate = matmul_rate(device, job.settings.precision)
    return Report(
        teacher=job.teacher.name if job.teacher is not None else None,
        student=job.spec.name,
        method=job.method,
        stage=job.distiller.stages[index].name,
        data=job.data.name,
        batch_size=batch_size,
        precision=job.settings.precision,
        compile=job.settings.compile,
        device=describe_device(device),
        threads=torch.get_num_threads(),
        turns=settings.turns,
        steps=settings.steps,
        images_per_second=speeds,
        ratios=ratios,
        peak_bytes={name: timing.peak for name, timing in timings.items()},
        roof=_roof(job, speeds, rate),
        matmul_rate=rate,
        milliseconds=parts,
        missing=missing,
        git=git_commit(),
        packages=package_versions(),
    )


def _roof(job: Job, speeds: dict[str, float], rate: float) -> dict[str, float]:
    """Backward passes take twice the multiply-adds of forward passes."""
    members = job.teacher.members if job.teacher is not None else []
    teacher = sum(count_macs(member.network, member.input_size or job.data.size) for member in members)
    student = 3 * count_macs(job.student, job.input_size)
    macs = {"floor_live": teacher + student, "floor_student": student}
    return {name: speeds[name] * count / rate for name, count in macs.items()}


def table(report: Report) -> Group:
    """Returns the report for the terminal."""
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
            size = readable(peak) if peak is not None else ""
            speeds.add_row(name, f"{report.images_per_second[name]:,.1f}", size, what)
        elif name in report.missing:
            speeds.add_row(name, "", "", f"not measured: {report.missing[name]}")
    total = sum(report.milliseconds.values())
    spent = ", ".join(f"{part} {ms:.1f} ms ({100 * ms / total:.0f} %)" for part, ms in report.milliseconds.items())
    ratios = "   ".join(f"{name} {ratio:.2f}" for name, ratio in report.ratios.items())
    reached = ", ".join(f"{name} {100 * share:.0f} %" for name, share in report.roof.items())
    return Group(
        Text(head),
        speeds,
        Text(f"ratios   {ratios}"),
        Text(f"of the {report.matmul_rate / 1e9:,.0f} G multiply-adds/s of a large matrix product: {reached}"),
        Text(f"a live step: {spent}"),
    )
