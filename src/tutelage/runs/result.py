"""``Result``: the outcome of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from tutelage.config import read_json
from tutelage.errors import TutelageError


class Result(BaseModel):
    """The content of ``result.json``; accuracies are in percent.

    ``top1`` and ``top5`` are the accuracies of the student after the last epoch on ``split``: the test split, or the
    validation split if there is no test split. ``best_top1`` is the highest validation accuracy, reached in epoch
    ``best_epoch``, or None without validation data. ``teacher_top1`` is the accuracy of the teacher on ``split``, or
    None if its classes are not those of the data. Without labels there are no accuracies; ``agreement``, the share of
    images for which student and teacher predict the same class, then measures the quality of the student.

    Example:
        >>> from pathlib import Path
        >>> import tutelage
        >>> data = {"name": "digits", "fraction": 0.1}
        >>> result = tutelage.train(data=data, model="resnet8", epochs=1, out="runs/teacher", loggers=[])
        data     digits: 130 train, 145 validation, 359 test; ...
        >>> tutelage.training.Result.read(Path("runs/teacher")) == result
        True
    """

    model_config = ConfigDict(frozen=True)

    status: str
    method: str
    settings: dict[str, dict[str, Any]] = {}
    """The methods' settings that differ from their defaults, by method."""
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
    """Mean accuracy over the classes; None in results of earlier versions."""
    majority: float | None = None
    """Share of the most frequent class, which is the accuracy of always predicting it."""
    agreement: float | None
    parameters: int
    added_parameters: int = 0
    """How many of them the method adds to the network that ``student`` names."""
    teacher_parameters: int | None
    precision: str
    seconds: float
    images_per_second: float
    git: str | None
    packages: dict[str, str]
    folder: str

    @classmethod
    def read(cls, folder: Path) -> Result:
        """Return the result of a finished run.

        Raises:
            TutelageError: If the run is not finished, or ``result.json`` is damaged.
        """
        path = folder / "result.json"
        if not path.is_file():
            raise TutelageError(
                f"{folder} has no result.json, because the run is not finished; run tutelage resume {folder}"
            )
        return read_json(path, cls)
