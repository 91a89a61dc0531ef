"""Prepare the runs of a study: build every combination once, and choose the settings that the runs share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tutelage.config import flatten
from tutelage.console import phase
from tutelage.data import ImageData
from tutelage.errors import TutelageError
from tutelage.runs import RunFolder
from tutelage.study.grid import Cell, slug
from tutelage.training import load_run
from tutelage.training.job import OPEN, Job, build_job, check_cacheable, check_trained, finetuned, to_finetune
from tutelage.training.tuning import tune

SETTLED_BY_RUNS: dict[str, Any] = {"precision": "auto", "compile": "auto", **OPEN}
"""Settings that a run chooses itself, with the value that means "not set"."""


def prepare(cells: Sequence[Cell]) -> list[Cell]:
    """Return the runs, ready to start, without writing anything.

    One run of each combination is built, so that errors occur before any training. ``precision=auto`` is chosen once
    for all runs. If a method does not support ``cache.views=all``, its teacher runs live, with the same views.

    Raises:
        TutelageError: If a run cannot be built; the message names the run.
    """
    views: dict[str, int | str | None] = {}
    settled: str | None = None
    opened: dict[str, ImageData] = {}
    with phase("preparing the runs", len(cells)) as advance:
        for cell in cells:
            if str(cell.values) not in views:
                job = _build(cell, opened)
                views[str(cell.values)] = cell.settings.cache.views if _cacheable(cell, job) else None
                if settled is None and cell.settings.precision == "auto":
                    settled = _settled_before(cells) or _settle(job)
            advance(1)
    return [_changed(cell, settled, views[str(cell.values)]) for cell in cells]


def _settled_before(cells: Sequence[Cell]) -> str | None:
    """Return the precision of a run that an earlier call started, because another trial might choose differently."""
    begun = (cell.settings.out for cell in cells if cell.settings.precision == "auto")
    return next((load_run(out).precision for out in begun if RunFolder(out).is_run()), None)


def _settle(job: Job) -> str:
    return tune(replace(job, settings=job.settings.model_copy(update={"compile": "off"}))).job.settings.precision


def _build(cell: Cell, opened: dict[str, ImageData]) -> Job:
    """Build a run; data shared by several runs are opened once."""
    try:
        live = cell.settings.cache.model_copy(update={"views": None})
        job = build_job(cell.settings.model_copy(update={"cache": live}), opened.get(str(cell.settings.data)))
        opened[str(cell.settings.data)] = job.data
        pupil = to_finetune(cell.settings)
        check_trained(job.teacher, pupil.finetune if pupil is not None else None)
        if not (job.data.train.labels >= 0).any():
            raise TutelageError(f"data={job.data.name} has no labels, so there is no accuracy to compare")
    except TutelageError as error:
        raise TutelageError(f"{cell.name}: {error}") from error
    return replace(job, settings=cell.settings)


def _cacheable(cell: Cell, job: Job) -> bool:
    try:
        check_cacheable(cell.settings, job.distiller.stages)
    except TutelageError as error:
        if cell.settings.cache.views != "all":
            raise TutelageError(f"{cell.name}: {error}") from error
        return False
    return any(stage.needs_teacher for stage in job.distiller.stages)


def _changed(cell: Cell, settled: str | None, views: int | str | None) -> Cell:
    cache = cell.settings.cache.model_copy(update={"views": views})
    precision = settled if cell.settings.precision == "auto" else cell.settings.precision
    return replace(cell, settings=cell.settings.model_copy(update={"precision": precision, "cache": cache}))


def share_teachers(cells: Iterable[Cell], folder: Path) -> tuple[list[Cell], dict[Path, Any]]:
    """Let runs that fine-tune the same teacher share the result of one fine-tuning.

    Returns:
        The runs with the result of ``teacher.finetune`` as their teacher, and the settings of each fine-tuning (for
        :func:`tutelage.training.prepare_teacher`) by its run folder, in ``folder``.
    """
    ready: list[Cell] = []
    places: dict[str, Path] = {}
    needed: dict[Path, Any] = {}
    for cell in cells:
        teacher = to_finetune(cell.settings)
        if teacher is not None:
            name = f"{slug(teacher.names[0])}-{teacher.finetune}-{len(places)}"
            place = places.setdefault(teacher.model_dump_json(), folder / name)
            needed.setdefault(place, cell.settings)
            cell = replace(cell, settings=cell.settings.model_copy(update={"teacher": finetuned(place)}))
        ready.append(cell)
    return ready, needed


def check_runs(cells: Iterable[Cell]) -> None:
    """Check that existing run folders were created with the same settings.

    Raises:
        TutelageError: If a folder contains a run with other settings.
    """
    for cell in cells:
        if RunFolder(cell.settings.out).is_run():
            _check_same(cell, cell.settings.out)


def _check_same(cell: Cell, folder: Path) -> None:
    there, wanted = (flatten(one.model_dump(mode="json")) for one in (load_run(folder), cell.settings))
    settled = {key for key, left_open in SETTLED_BY_RUNS.items() if wanted[key] == left_open}
    for key in sorted((there.keys() | wanted.keys()) - settled - {"out", "overwrite"}):
        if there.get(key) != wanted.get(key):
            raise TutelageError(
                f"{folder} was trained with {key}={there.get(key)}, and this study has {key}={wanted.get(key)}; set "
                f"another out=…, or remove that folder"
            )
