"""A finished run, as its folder tells it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tutelage.config import RunSettings, read_json, read_yaml
from tutelage.errors import TutelageError
from tutelage.runs import RunFolder
from tutelage.study import method_label, read_study
from tutelage.training import Result, load_run
from tutelage.training.evaluation import ACCURACY


@dataclass(frozen=True, eq=False)
class Run:
    """What a run left behind, networks apart."""

    folder: Path
    result: Result
    top1: float
    """Of the student, on the headline split, in percent."""
    config: dict[str, Any]
    """Its resolved settings as they are written, scalars as text."""
    settings: RunSettings | None
    """The same, checked; None where this version does not know them."""
    fault: str
    """Why there are no checked settings."""
    metrics: list[dict[str, Any]]
    environment: dict[str, Any]
    teacher: dict[str, Any]
    """What was recorded of the teacher; empty without one."""
    log: str

    @property
    def method(self) -> str:
        """The method with the settings that are not its defaults."""
        return method_label(self.result)

    @property
    def teacher_on_validation(self) -> float | None:
        """The teacher's accuracy on validation data, as it was measured before training."""
        known = self.teacher.get("measure", ACCURACY) == ACCURACY and self.teacher.get("split") == "validation"
        return self.teacher["top1"] if known else None

    @property
    def data_name(self) -> str:
        """What the settings call the data: a name or a folder."""
        return str(self.config["data"]["name"])


@dataclass(frozen=True)
class RunSet:
    """The runs that a report is about: a study's, or any others."""

    runs: list[Run]
    title: str | None
    """The title of the study; None without one."""
    failed: dict[str, str]
    """The errors of the study's failed runs, by name."""


def read_run_set(folders: Sequence[Path]) -> RunSet:
    """Return the runs in ``folders``: one study, or any number of runs."""
    if len(folders) == 1 and (folders[0] / "study.json").is_file():
        study = read_study(folders[0])
        return RunSet([read_run(folders[0] / run) for run in study.runs], study.title, study.failed)
    return RunSet([read_run(folder) for folder in folders], None, {})


def read_run(folder: Path) -> Run:
    """Returns the run in ``folder``; raises :class:`TutelageError` where there is none, or an unfinished one."""
    if not (folder / "config.yaml").is_file():
        what = "is not a run folder: it has no config.yaml" if folder.is_dir() else "does not exist"
        raise TutelageError(f"{folder} {what}; give the folder of a run (tutelage distill … out=FOLDER) or of a study")
    settings, fault = None, ""
    result = Result.read(folder)
    if result.top1 is None:
        raise TutelageError(f"{folder} has no accuracy, which a report is about: its images have no labels")
    try:
        settings = load_run(folder)
    except TutelageError as error:
        fault = str(error)
    log = folder / "log.txt"
    return Run(
        folder=folder,
        result=result,
        top1=result.top1,
        config=read_yaml(folder / "config.yaml"),
        settings=settings,
        fault=fault,
        metrics=RunFolder(folder).read_metrics(),
        environment=_read_json(folder / "environment.json"),
        teacher=_read_json(folder / "teacher.json"),
        log=log.read_text(encoding="utf-8") if log.is_file() else "",
    )


def _read_json(path: Path) -> dict[str, Any]:
    return read_json(path, dict[str, Any]) if path.is_file() else {}
