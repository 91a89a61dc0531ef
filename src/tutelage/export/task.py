"""The input of all export formats."""

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
    """A student to export."""

    student: Student
    preprocessing: bool
    """Whether to include the normalization."""
    calibration: Callable[[], Iterator[tuple[Tensor, Tensor]]]
    """Batches of real training images (uint8 evaluation views) and their labels."""

    @property
    def module(self) -> nn.Module:
        """The module to write; it takes uint8 images with the normalization, and normalized floats without."""
        return self.student.classifier if self.preprocessing else self.student.network

    @property
    def example(self) -> Tensor:
        """Two example inputs of the module."""
        return self.shown(torch.zeros(2, 3, *self.student.size, dtype=torch.uint8))

    def shown(self, images: Tensor) -> Tensor:
        """Convert uint8 images to the module's input."""
        return images if self.preprocessing else self.student.normalization(images)

    def metadata(self) -> dict[str, str]:
        """Return the metadata to store in files whose format supports it."""
        return {
            "classes": json.dumps(self.student.classes, ensure_ascii=False),
            "input": json.dumps(describe_input(self.student, self.preprocessing)),
            "model": self.student.spec.name,
            "tutelage": metadata.version("tutelage"),
        }


_RESIZED = {
    "crop": "resize to cover size / crop, then center crop",
    "squash": "resize the whole image to size",
    "pad": "resize the whole image to fit into size, then pad with the background color",
}


def describe_input(student: Student, preprocessing: bool) -> dict[str, Any]:
    """Return a description of the images that the file takes."""
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
