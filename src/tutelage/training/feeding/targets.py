"""The cached targets of a run: estimate their size, verify them, and compute missing targets."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING

import numpy as np
import torch
from rich.filesize import decimal
from torch import Tensor

from tutelage.config import DistillSettings
from tutelage.distillation import Distiller, StoredTargets, TargetCache
from tutelage.errors import TutelageError
from tutelage.training.engine import agree
from tutelage.training.feeding.feed import Fed, build_feed, view_of
from tutelage.training.job.job import Job

if TYPE_CHECKING:
    from accelerate import Accelerator


FORMAT = 1
"""Version of the cache, part of every identity. Raise it if the computation of targets, views or records changes."""
VERIFIED = 64
"""Number of records that are recomputed and compared when a cache is opened."""
SAMPLED = 1000
"""Number of records that are checked to estimate how many are stored."""
TOLERANCE = {"fp32": 1e-2, "tf32": 2e-2, "bf16": 1e-1, "fp16": 2e-2}
"""Allowed error of recomputed targets, relative to the largest value; kernels round differently for other batches."""


@dataclass(frozen=True)
class RunTargets:
    """The cached targets of all stages of a run."""

    cache: TargetCache
    stages: dict[int, StoredTargets]
    """Targets by index of the stage, for the stages that read the teacher."""
    views: dict[int, list[int]]
    """Views of each of these stages."""
    rows: np.ndarray
    """Indices of the training samples."""

    @property
    def total_bytes(self) -> int:
        """Size of all records of the run in bytes."""
        return sum(self._stage_bytes(index) for index in self.stages)

    def missing_bytes(self) -> float:
        """Return the size of the records that are not stored yet, estimated from a random sample of each stage."""
        return sum(self._stage_bytes(index) * (1 - self._stored_share(index)) for index in self.stages)

    def describe(self) -> str:
        """Return a line with the total size, the percentage that is stored, and the folder."""
        parts = [
            f"{len(self.views[index])} views × {len(self.rows):,} images × {stored.record_bytes:,} bytes"
            for index, stored in self.stages.items()
        ]
        there = 100 * (1 - self.missing_bytes() / self.total_bytes)
        return f"cache    {' + '.join(parts)} = {decimal(self.total_bytes)}, {there:.0f} % stored; {self.cache.folder}"

    def _stage_bytes(self, index: int) -> int:
        return self.stages[index].record_bytes * len(self.views[index]) * len(self.rows)

    def _stored_share(self, index: int) -> float:
        draw, stored = np.random.default_rng(), self.stages[index]
        views = draw.choice(self.views[index], min(10, len(self.views[index])), replace=False).tolist()
        found = [stored.present(view, draw.choice(self.rows, SAMPLED // len(views))).mean() for view in views]
        return float(np.mean(found))


def open_targets(job: Job, engine: Accelerator) -> RunTargets | None:
    """Open the target cache of a run and verify some of its records.

    The cache is emptied if its records differ from the teacher's current outputs.

    Returns:
        The cached targets, or None if the run has no cache or no stage that needs a teacher.

    Raises:
        TutelageError: If the disk has too little free space.
    """
    settings = job.settings
    taught = any(stage.needs_teacher for stage in job.distiller.stages)
    if not isinstance(settings, DistillSettings) or settings.cache.views is None or not taught:
        return None
    with engine.main_process_first():
        cache = TargetCache(settings.cache, identity(job), len(job.data.train.samples.labels))
    shown = view_of(job)
    shapes, views, first = {}, {}, 0
    for index, stage in enumerate(job.distiller.stages):
        if stage.needs_teacher:
            job.distiller.enter(index)
            shapes[index] = target_shapes(job.distiller, job.data.size, engine.device)
            views[index] = sorted({shown(first + epoch) for epoch in range(stage.epochs)})
            if engine.is_main_process:
                verify(StoredTargets(cache, stage.terms, shapes[index]), views[index], job, engine)
        first += stage.epochs
    engine.wait_for_everyone()
    stages = {index: StoredTargets(cache, job.distiller.stages[index].terms, shape) for index, shape in shapes.items()}
    targets = RunTargets(cache, stages, views, job.data.train.rows)
    room = shutil.disk_usage(cache.folder.parent).free
    # Each process samples other records, but all must come to the same decision.
    missing = agree(targets.missing_bytes())
    if missing > room:
        raise TutelageError(
            f"the cache needs {decimal(int(missing))} more, and {cache.folder} has {decimal(room)} free; lower "
            f"cache.views, or set cache.top_k or another cache.folder"
        )
    return targets


def identity(job: Job) -> dict[str, object]:
    """Return everything that the targets of a run depend on."""
    assert job.teacher is not None
    return {
        "format": FORMAT,
        "tutelage": version("tutelage"),
        **job.data.identity,
        "architecture": [member.name for member in job.teacher.members],
        "teacher": [member.identity()["weights_sha256"] for member in job.teacher.members],
        "preprocessing": [str(member.normalization) for member in job.teacher.members],
        "precision": job.settings.precision,
    }


def target_shapes(distiller: Distiller, size: tuple[int, int], device: torch.device) -> list[tuple[int, ...]]:
    """Return the shape of each target of the current stage, without the batch, from a dry pass of the teacher."""
    images = torch.zeros(1, 3, *size, dtype=torch.uint8, device=device)
    labels = torch.zeros(1, dtype=torch.int64, device=device)
    targets = distiller.targets(images, labels)
    return [() if isinstance(target, tuple) else tuple(target.shape[1:]) for target in targets]


def compute(job: Job, fed: Fed, engine: Accelerator) -> list[Tensor]:
    """Return the live teacher's targets of a batch for the current stage, computed in the same parts as in a step."""
    parts = min(job.settings.accumulate, len(fed.images))
    with engine.autocast():
        batches = zip(fed.images.tensor_split(parts), fed.labels.tensor_split(parts))
        targets = [job.distiller.targets(images, labels) for images, labels in batches]
    return [torch.cat(part) for part in zip(*targets)]


def targets_of(job: Job, stored: StoredTargets | None, fed: Fed, engine: Accelerator) -> list[Tensor] | None:
    """Return the cached targets of a batch, computed now if they are missing; None if the teacher is live."""
    if stored is None or fed.targets is not None:
        return fed.targets
    return fill(job, stored, fed, engine)


def fill(job: Job, stored: StoredTargets, fed: Fed, engine: Accelerator) -> list[Tensor]:
    """Compute and store the missing targets of a batch, and return all targets as they will be read back.

    The results of a run thus do not depend on whether its targets were already cached.
    """
    absent = ~stored.present(fed.view, fed.rows)
    targets = None
    if absent.any() and not absent.all():
        _store(job, stored, fed.part(absent), engine)
        targets = stored.read(fed.view, fed.rows)
    if targets is None:  # nothing was stored, or a record is damaged
        targets = _store(job, stored, fed, engine)
    return [target.to(engine.device) for target in targets]


def _store(job: Job, stored: StoredTargets, fed: Fed, engine: Accelerator) -> list[Tensor]:
    targets = compute(job, fed, engine)
    stored.write(fed.view, fed.rows, targets)
    return stored.rounded(targets)


def verify(stored: StoredTargets, views: Sequence[int], job: Job, engine: Accelerator) -> None:
    """Recompute random records of the current stage, and empty the cache if any of them differs."""
    draw, rows = np.random.default_rng(), job.data.train.rows
    rows = np.sort(draw.choice(rows, min(VERIFIED, len(rows)), replace=False))
    begun = (view for view in draw.permutation(views).tolist() if stored.present(view, rows).any())
    view = next(begun, views[0])
    # Read one by one, because a damaged record does not affect the others; it is recomputed when it is needed.
    rows = np.array([row for row in rows if stored.read(view, np.array([row])) is not None], dtype=np.int64)
    for fed in build_feed(job, engine.device).read([rows], view) if len(rows) else []:
        found = stored.read(view, fed.rows)
        if found is None:
            continue
        changed = stored.changed(found, compute(job, fed, engine), TOLERANCE[job.settings.precision])
        if changed is not None:
            stored.cache.discard(f"{changed} of view {view} differs from the teacher's current output")
