"""Stored targets in a run: what may be stored, how much it is, whether it is right, and what is missing computed."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor

from tutelage.config import DistillSettings
from tutelage.data import Views
from tutelage.distillation import Distiller, StoredTargets, TargetCache
from tutelage.errors import TutelageError
from tutelage.training.feed import Fed, build_feed
from tutelage.training.job import Job

FORMAT = 1
"""Part of every identity: to be raised where targets, views or records become others than before."""
VERIFIED = 64
"""Records computed again when a cache is opened."""
SAMPLED = 1000
"""Records looked at to tell how many there are."""
TOLERANCE = {"fp32": 1e-2, "bf16": 1e-1, "fp16": 2e-2}
"""Largest error of a target computed again, against its largest value: rounding, other kernels for another batch."""


@dataclass(frozen=True)
class RunTargets:
    """The stored targets of all stages of a run."""

    cache: TargetCache
    stages: dict[int, StoredTargets]
    """By the stage's place, of the stages that read the teacher."""
    views: dict[int, list[int]]
    """The views that each of them shows."""
    rows: np.ndarray
    """The samples that are trained on."""

    @property
    def total_bytes(self) -> int:
        """What all records of the run take."""
        views = {stored: len(self.views[index]) for index, stored in self.stages.items()}
        return sum(stored.record_bytes * count for stored, count in views.items()) * len(self.rows)

    def stored_share(self) -> float:
        """Returns which part of a random sample of the records is there already."""
        draw = np.random.default_rng()
        found = []
        for index, stored in self.stages.items():
            for view in draw.choice(self.views[index], 10):
                found.append(stored.present(int(view), draw.choice(self.rows, SAMPLED // 10)).mean())
        return float(np.mean(found))

    def describe(self) -> str:
        """Returns one line: how much is stored where, and how much of it is there."""
        count = max(map(len, self.views.values()))
        each = " + ".join(f"{stored.record_bytes:,}" for stored in self.stages.values())
        return (
            f"cache    {count} views × {len(self.rows):,} images × {each} bytes = {readable(self.total_bytes)}, "
            f"{100 * self.stored_share():.0f} % stored; {self.cache.folder}"
        )


def open_targets(job: Job, engine: Accelerator) -> RunTargets | None:
    """Opens the cache of a run and recomputes some of its records; None where it has no cache, or needs no teacher.

    A cache whose records are not what the teacher gives now is emptied. Raises :class:`TutelageError` where the disk
    has too little room.
    """
    settings = job.settings
    taught = any(stage.needs_teacher for stage in job.distiller.stages)
    if not isinstance(settings, DistillSettings) or settings.cache.views is None or not taught:
        return None
    with engine.main_process_first():
        cache = TargetCache(settings.cache, identity(job), len(job.data.train.samples.labels))
    shapes, views, first = {}, {}, 0
    for index, stage in enumerate(job.distiller.stages):
        if stage.needs_teacher:
            job.distiller.enter(index)
            shapes[index] = target_shapes(job.distiller, job.data.size, engine.device)
            views[index] = sorted({settings.cache.view(first + epoch) for epoch in range(stage.epochs)})
            if engine.is_main_process:
                verify(cache.stage(stage.terms, shapes[index]), views[index], job, engine)
        first += stage.epochs
    engine.wait_for_everyone()
    stages = {index: cache.stage(job.distiller.stages[index].terms, shapes[index]) for index in shapes}
    targets = RunTargets(cache, stages, views, job.data.train.rows)
    room = shutil.disk_usage(cache.folder).free
    missing = targets.total_bytes * (1 - targets.stored_share())
    if missing > room:
        raise TutelageError(
            f"the cache would take {readable(missing)} more, and {cache.folder} has {readable(room)} free: lower "
            f"cache.views, give cache.top_k, or another place with cache.folder"
        )
    return targets


def identity(job: Job) -> dict[str, object]:
    """Returns all that the targets of a run are functions of."""
    assert job.teacher is not None
    return {
        "format": FORMAT,
        "tutelage": version("tutelage"),
        "data": job.data.fingerprint,
        "teacher": [member.identity()["weights_sha256"] for member in job.teacher.members],
        "preprocessing": [str(member.normalization) for member in job.teacher.members],
        "views": repr(Views.of(job.data, job.settings.data)),
        "precision": job.settings.precision,
    }


def target_shapes(distiller: Distiller, size: tuple[int, int], device: torch.device) -> list[tuple[int, ...]]:
    """Returns the shape of each target of the current stage, without the batch, by a dry pass of the teacher."""
    images = torch.zeros(1, 3, *size, dtype=torch.uint8, device=device)
    labels = torch.zeros(1, dtype=torch.int64, device=device)
    return [tuple(target.shape[1:]) for target in distiller.targets(images, labels)]


def compute(distiller: Distiller, fed: Fed, engine: Accelerator) -> list[Tensor]:
    """Returns the current stage's targets of a batch, as the live teacher gives them."""
    with engine.autocast():
        return distiller.targets(fed.images, fed.labels)


def fill(distiller: Distiller, stored: StoredTargets, fed: Fed, engine: Accelerator) -> list[Tensor]:
    """Computes and stores the targets of a batch, and returns them as they will be read.

    So a run gives the same whether it finds its targets or makes them.
    """
    stored.write(fed.view, fed.rows, compute(distiller, fed, engine))
    targets = stored.read(fed.view, fed.rows)
    assert targets is not None
    return [target.to(engine.device) for target in targets]


def verify(stored: StoredTargets, views: Sequence[int], job: Job, engine: Accelerator) -> None:
    """Computes random records of the current stage again, and empties their cache where one is not what comes out."""
    draw, rows = np.random.default_rng(), job.data.train.rows
    rows = np.sort(draw.choice(rows, min(VERIFIED, len(rows)), replace=False))
    begun = (view for view in draw.permutation(views).tolist() if stored.present(view, rows).any())
    view = next(begun, views[0])
    rows = rows[stored.present(view, rows)]
    found = stored.read(view, rows) if len(rows) else None
    if found is None:
        return
    (fed,) = build_feed(job, engine.device).read([rows], view)
    changed = stored.changed(found, compute(job.distiller, fed, engine), TOLERANCE[job.settings.precision])
    if changed is not None:
        stored.cache.discard(f"{changed} of view {view} is not what the teacher gives now")


def readable(count: float) -> str:
    """Returns a number of bytes in the unit that fits: ``2.6 GB``."""
    for unit, name in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if count >= unit:
            return f"{count / unit:.1f} {name}"
    return f"{count:.0f} bytes"
