"""What every format is written from."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib import metadata
from typing import Any

import torch
from torch import Tensor, nn

from tutelage.runs import Student


@dataclass(frozen=True, eq=False)
class Task:
    """A student on its way out."""

    student: Student
    preprocessing: bool
    """Whether the normalisation is part of what is written."""
    calibration: Callable[[], Iterator[tuple[Tensor, Tensor]]]
    """Batches of real training images, uint8, as evaluation sees them, with their labels."""

    @property
    def module(self) -> nn.Module:
        """What is written: with the normalisation it takes uint8 images, without it normalised floats."""
        return self.student.classifier if self.preprocessing else self.student.network

    @property
    def example(self) -> Tensor:
        """Two images of the kind that the module takes."""
        return self.shown(torch.zeros(2, 3, *self.student.size, dtype=torch.uint8))

    def shown(self, images: Tensor) -> Tensor:
        """Makes of uint8 images what the module takes."""
        return images if self.preprocessing else self.student.normalization(images)

    def metadata(self) -> dict[str, str]:
        """Returns what a file says of itself, where its format has room for it."""
        return {
            "classes": json.dumps(self.student.classes, ensure_ascii=False),
            "input": json.dumps(describe_input(self.student, self.preprocessing)),
            "model": self.student.spec.name,
            "tutelage": metadata.version("tutelage"),
        }


_RESIZED = {
    "crop": "the image covers size / crop, then its middle",
    "squash": "the whole image to size",
    "pad": "the whole image into size, with a border of the background",
}


def describe_input(student: Student, preprocessing: bool) -> dict[str, Any]:
    """Returns in words and numbers which images the file takes."""
    height, width = student.size
    return {
        "layout": "N×3×H×W, RGB",
        "size": [height, width],
        "crop": student.crop,
        "fit": student.spec.resize,
        "resize": f"{_RESIZED[student.spec.resize]}, bilinear with antialiasing",
        "dtype": "uint8" if preprocessing else "float32",
        "values": "0 … 255" if preprocessing else "(x / 255 − mean) / std",
        "preprocessing": preprocessing,
        "mean": list(student.spec.mean or ()),
        "std": list(student.spec.std or ()),
        "rendering": asdict(student.rendering),
    }
