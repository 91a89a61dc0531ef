"""What an export says of itself: ``export.json``, and what is read from it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from tutelage.config import read_json
from tutelage.errors import TutelageError

NAME = "export.json"


class File(BaseModel):
    """One exported file; accuracies in percent, on the record's split."""

    model_config = ConfigDict(frozen=True)

    format: str
    file: str
    bytes: int
    preprocessing: bool
    """Whether it takes uint8 images; normalised floats otherwise."""
    one_image: bool
    """Whether a call takes one image, not any number."""
    top1: float | None
    same_prediction: float
    """Share of images that it calls what PyTorch calls them."""
    largest_difference: float
    """Of a logit, from PyTorch's."""
    milliseconds: float
    """From one image to its logits, median."""


class Record(BaseModel):
    """The content of ``export.json``."""

    model_config = ConfigDict(frozen=True)

    model: str
    source: str
    parameters: int
    macs: int
    classes: list[str]
    input: dict[str, Any]
    data: str
    split: str
    images: int
    pytorch_top1: float | None
    """None, as for the files, where no image has a label."""
    pytorch_milliseconds: float
    calibration: int | None
    """Training images that the ranges of int8 were taken from."""
    files: list[File]
    machine: str
    """On which the times were measured."""
    packages: dict[str, str]

    def write(self, folder: Path) -> None:
        """Writes ``export.json``."""
        (folder / NAME).write_text(json.dumps(self.model_dump(), indent=2, ensure_ascii=False) + "\n", "utf-8")

    @classmethod
    def read(cls, folder: Path) -> Record:
        """Returns the record of an export folder; raises :class:`TutelageError` where there is none."""
        path = folder / NAME
        if not path.is_file():
            raise TutelageError(f"{folder} has no {NAME}, which says what the files of an export take")
        return read_json(path, cls)
