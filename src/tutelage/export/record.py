"""``export.json``: the files of an export, their input and their measured results."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from tutelage.config import read_json
from tutelage.errors import TutelageError

NAME = "export.json"


class File(BaseModel):
    """One exported file; accuracies are percentages on the record's split."""

    model_config = ConfigDict(frozen=True)

    format: str
    file: str
    bytes: int
    preprocessing: bool
    """Whether it takes uint8 images; otherwise it takes normalized floats."""
    one_image: bool
    """Whether a call takes one image instead of any number."""
    top1: float | None
    same_prediction: float
    """Percentage of images with the same prediction as PyTorch."""
    largest_difference: float
    """Largest absolute difference of a logit from PyTorch's."""
    milliseconds: float
    """Median time from one image to its logits."""


class Record(BaseModel):
    """The content of ``export.json``."""

    model_config = ConfigDict(frozen=True)

    model: str
    extended: bool = False
    """Whether the method added parts to the network, which only tutelage can then build."""
    source: str
    parameters: int
    macs: int
    classes: list[str]
    input: dict[str, Any]
    data: str
    split: str
    images: int
    pytorch_top1: float | None
    """None, as for the files, if no image has a label."""
    pytorch_milliseconds: float
    calibration: int | None
    """Number of training images used to calibrate int8."""
    files: list[File]
    machine: str
    """The machine on which the times were measured."""
    packages: dict[str, str]

    def write(self, folder: Path) -> None:
        """Write ``export.json``."""
        (folder / NAME).write_text(json.dumps(self.model_dump(), indent=2, ensure_ascii=False) + "\n", "utf-8")

    @classmethod
    def read(cls, folder: Path) -> Record:
        """Return the record of an export folder.

        Raises:
            TutelageError: If the folder is not an export folder.
        """
        path = folder / NAME
        if not path.is_file():
            raise TutelageError(f"{folder} has no {NAME}, so it is not an export folder; use a file written by export")
        return read_json(path, cls)
