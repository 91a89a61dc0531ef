"""Before the first run of a study: every combination is built once, and what its runs share is settled."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from tutelage.config import flatten
from tutelage.errors import TutelageError
from tutelage.study.grid import Cell
from tutelage.training import load_run
from tutelage.training.checks import check_cacheable, check_trained
from tutelage.training.finetuning import to_finetune
from tutelage.training.job import Job, build_job
from tutelage.training.tuning import tune

SETTLED_BY_RUNS = ("precision", "compile")
"""Keys whose ``auto`` a run replaces by what it found."""


def prepare(cells: Iterable[Cell]) -> list[Cell]:
    """Returns the runs ready to start; nothing is written.

    One run of each combination is built, so that whatever would stop it stops the study now. ``precision=auto`` is
    settled once, for all. Where ``cache.views=all`` is not possible for a method, its teacher is live: both show the
    same views. Raises :class:`TutelageError` that names the run.
    """
    ready: list[Cell] = []
    first: dict[str, Cell] = {}
    precision: str | None = None
    for cell in cells:
        combination = str(cell.values)
        if combination not in first:
            job = _build(cell)
            if precision is None:
                precision = tune(job).settings.precision
            views = job.settings.cache.views if _cacheable(cell, job) else None  # type: ignore[attr-defined]
            first[combination] = _changed(cell, precision, views)
        shared = first[combination].settings
        ready.append(_changed(cell, shared.precision, shared.cache.views))
    return ready


def _build(cell: Cell) -> Job:
    try:
        live = cell.settings.cache.model_copy(update={"views": None})
        job = build_job(cell.settings.model_copy(update={"cache": live}))
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


def _changed(cell: Cell, precision: str, views: int | str | None) -> Cell:
    cache = cell.settings.cache.model_copy(update={"views": views})
    return replace(cell, settings=cell.settings.model_copy(update={"precision": precision, "cache": cache}))


def check_runs(cells: Iterable[Cell]) -> None:
    """Raises :class:`TutelageError` where a run's folder holds a run with other settings."""
    for cell in cells:
        if (cell.settings.out / "config.yaml").exists():
            _check_same(cell, cell.settings.out)


def _check_same(cell: Cell, folder: Path) -> None:
    there, wanted = (flatten(one.model_dump(mode="json")) for one in (load_run(folder), cell.settings))
    settled = {key for key in SETTLED_BY_RUNS if wanted[key] == "auto"}
    for key in sorted((there.keys() | wanted.keys()) - settled - {"out", "overwrite"}):
        if there.get(key) != wanted.get(key):
            raise TutelageError(
                f"{folder} was made with {key}={there.get(key)}, and now it is {wanted.get(key)}: choose another "
                f"out=…, or remove that folder"
            )


def finished(folder: Path) -> bool:
    """Whether the run in ``folder`` has its result."""
    return (folder / "result.json").is_file()
