"""What a run ends with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from tutelage.config import read_json
from tutelage.errors import TutelageError


class Result(BaseModel):
    """The content of ``result.json``; accuracies in percent.

    ``top1`` and ``top5`` are the student's at the last epoch, on ``split``: the test split where the data have one,
    else the validation split. ``best_top1`` is the highest on validation, reached in epoch ``best_epoch``; it is None
    without validation data. ``teacher_top1`` is the teacher's on ``split``, None where it has no such classes. Data
    without labels have no accuracies at all; ``agreement`` with the teacher is then what tells how good the student is.
    """

    model_config = ConfigDict(frozen=True)

    status: str
    method: str
    settings: dict[str, dict[str, Any]] = {}
    """Of the method's parts, those that are not the defaults."""
    data: str
    student: str
    teacher: str | None
    seed: int
    epochs: int
    split: str
    rule: str = "last epoch"
    top1: float | None
    top5: float | None
    best_top1: float | None
    best_epoch: int | None
    validation_top1: float | None
    teacher_top1: float | None
    balanced_top1: float | None = None
    """Mean over the classes; None in results of earlier versions."""
    majority: float | None = None
    """Share of the most frequent class: what always answering it reaches."""
    agreement: float | None
    parameters: int
    teacher_parameters: int | None
    precision: str
    seconds: float
    images_per_second: float
    git: str | None
    packages: dict[str, str]
    folder: str

    @classmethod
    def read(cls, folder: Path) -> Result:
        """Returns the result of a finished run; raises :class:`TutelageError` where there is none, or it is damaged."""
        path = folder / "result.json"
        if not path.is_file():
            raise TutelageError(f"{folder} has no result.json: the run is not finished (tutelage resume {folder})")
        return read_json(path, cls)
