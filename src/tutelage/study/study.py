"""``study``: train a grid of runs with several seeds, and compare them statistically."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from tutelage.config import read_json
from tutelage.console import build_console
from tutelage.errors import TutelageError
from tutelage.measure import measure_latency
from tutelage.methods import METHODS
from tutelage.models import count_macs
from tutelage.runs import RunFolder, describe_environment, load_student
from tutelage.study.grid import NAMES, Cell, cells_of, label_of
from tutelage.study.prepare import check_runs, prepare, share_teachers
from tutelage.study.runs import train_cells
from tutelage.study.settings import StudySettings, check_folder, read_settings, write_settings
from tutelage.study.statistics import Row, summarize
from tutelage.study.table import NOTE, comma_separated, markdown, terminal
from tutelage.study.workers import start_workers
from tutelage.training import Result, prepare_teacher


class Study(BaseModel):
    """The content of ``study.json``."""

    model_config = ConfigDict(frozen=True)

    title: str
    runs: list[Path]
    """Folders of the finished runs, relative to the folder of the study."""
    rows: list[Row]
    failed: dict[str, str]
    """Errors of failed runs, by name of the run."""
    environment: dict[str, Any]


def study(*layers: Mapping[str, Any] | str | Path) -> Study:
    """Train all unfinished runs of a grid, and return the statistics of all runs.

    All runs share the settings that the grid does not vary, and cached targets if their methods allow it.
    ``study.yaml``, ``study.json``, ``table.md``, ``table.csv`` and the runs are written to the folder ``out``. A second
    call skips finished runs and resumes interrupted ones from their last checkpoint.

    Args:
        layers: Mappings, files or words with the settings of ``distill`` and of :class:`StudySettings`, as in
            ``study({"grid": {"method": ["none", "kd"]}, "seeds": 5, …})``.

    Raises:
        TutelageError: If a run cannot be built, before any training, or if no run finished.
    """
    own, shared = read_settings(StudySettings, *layers)
    check_folder(own.out)
    cells, teachers = share_teachers(prepare(cells_of(own, shared)), own.out / "teachers")
    check_runs(cells)
    write_settings(own, shared)
    for folder, settings in teachers.items():
        prepare_teacher(settings, folder)
    with start_workers(own.workers) as pool:
        failed = train_cells(cells, pool)
    done = [cell for cell in cells if RunFolder(cell.settings.out).is_finished()]
    if not done:
        raise TutelageError("no run of the study was finished:\n" + "\n".join(f"{k}: {v}" for k, v in failed.items()))
    result = Study(
        title=own.out.name,
        runs=[cell.settings.out.relative_to(own.out) for cell in done],
        rows=_measured(_rows(done), done),
        failed=failed,
        environment=describe_environment(),
    )
    _write(own.out, result)
    _print(own.out, result)
    return result


def read_study(folder: Path) -> Study:
    """Return the study in ``folder``.

    Raises:
        TutelageError: If the folder is not a finished study, or ``study.json`` is damaged.
    """
    path = folder / "study.json"
    if not path.is_file():
        raise TutelageError(f"{folder} has no study.json, so it is not a finished study; run tutelage study …")
    return read_json(path, Study)


def _rows(cells: Sequence[Cell]) -> list[Row]:
    """Return one row per combination of the grid."""
    groups: dict[tuple[str, str], list[Cell]] = {}
    for cell in cells:
        groups.setdefault((_setting(cell), _teacher(cell)), []).append(cell)
    return [
        row
        for (setting, teacher), group in groups.items()
        for row in summarize([Result.read(cell.settings.out) for cell in group], setting, teacher)
    ]


def _setting(cell: Cell) -> str:
    """Return the values that vary besides method, networks and data; settings of the method are in its label."""
    said = {*NAMES, *(key for key in cell.values if key.partition(".")[0] in METHODS)}
    values = {key: value for key, value in cell.values.items() if key not in said}
    return " ".join(label_of(values)) if values else ""


def _teacher(cell: Cell) -> str:
    return str(cell.values.get("teacher", "")) if cell.settings.method != "none" else ""


def _measured(rows: list[Row], cells: Sequence[Cell]) -> list[Row]:
    """Add multiply-adds and latency, measured once per student while no run of the study is in progress."""
    figures: dict[tuple[str, int], dict[str, Any]] = {}
    for cell in cells:
        result = Result.read(cell.settings.out)
        key = (result.student, result.parameters)
        if key not in figures:
            student = load_student(cell.settings.out)
            latency = measure_latency(student.network, student.size, 1)
            figures[key] = {"macs": count_macs(student.network, student.size), "latency": latency}
    return [row.model_copy(update=figures[row.student, row.parameters]) for row in rows]


def _write(out: Path, result: Study) -> None:
    (out / "study.json").write_text(result.model_dump_json(indent=2) + "\n", encoding="utf-8")
    (out / "table.md").write_text(markdown(result.rows), encoding="utf-8")
    (out / "table.csv").write_text(comma_separated(result.rows), encoding="utf-8")


def _print(out: Path, result: Study) -> None:
    console = build_console()
    console.print(terminal(result.rows, console.width))
    console.print(NOTE, style="dim", highlight=False)
    for name, error in result.failed.items():
        console.print(f"failed: {name}: {error}", style="red", highlight=False, soft_wrap=True, markup=False)
    console.print(f"table.md, table.csv and study.json are in {out}", highlight=False, soft_wrap=True)
