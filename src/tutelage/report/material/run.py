"""Read finished runs from their folders."""

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
    """The content of a run folder, without networks."""

    folder: Path
    result: Result
    top1: float
    """Accuracy of the student on the headline split, in percent."""
    config: dict[str, Any]
    """The resolved settings as written, with scalars as text."""
    settings: RunSettings | None
    """The validated settings; None if this version does not accept them."""
    fault: str
    """The reason why there are no validated settings."""
    metrics: list[dict[str, Any]]
    environment: dict[str, Any]
    teacher: dict[str, Any]
    """The recorded description of the teacher; empty without one."""
    log: str

    @property
    def method(self) -> str:
        """The method with its non-default settings."""
        return method_label(self.result)

    @property
    def teacher_on_validation(self) -> float | None:
        """The teacher's accuracy on validation data, measured before training, if known."""
        known = self.teacher.get("measure", ACCURACY) == ACCURACY and self.teacher.get("split") == "validation"
        return self.teacher["top1"] if known else None

    @property
    def data_name(self) -> str:
        """The name or folder of the data in the settings."""
        return str(self.config["data"]["name"])


@dataclass(frozen=True)
class RunSet:
    """The runs or the study of a report."""

    runs: list[Run]
    title: str | None
    """The study's title, if it is a study."""
    failed: dict[str, str]
    """Failed runs of the study, with their errors."""


def read_run_set(folders: Sequence[Path]) -> RunSet:
    """Return the runs in ``folders``, which are either one study or any number of runs."""
    if len(folders) == 1 and (folders[0] / "study.json").is_file():
        study = read_study(folders[0])
        return RunSet([read_run(folders[0] / run) for run in study.runs], study.title, study.failed)
    return RunSet([read_run(folder) for folder in folders], None, {})


def read_run(folder: Path) -> Run:
    """Return the run in ``folder``.

    Raises:
        TutelageError: If it is not a run folder, or the run is unfinished or has no accuracy.
    """
    if not RunFolder(folder).is_run():
        what = "is not a run folder: it has no config.yaml" if folder.is_dir() else "does not exist"
        raise TutelageError(f"{folder} {what}; set the folder of a run (tutelage distill … out=FOLDER) or of a study")
    settings, fault = None, ""
    result = Result.read(folder)
    if result.top1 is None:
        raise TutelageError(f"{folder} has no accuracy to report, because its images have no labels; remove this run")
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
