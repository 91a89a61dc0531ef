"""A finished run on real images, with class names that mean something to Markdown, HTML and YAML."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import tutelage
from harness.marks import need
from tutelage.data import load_digits
from tutelage.export import export_student

NAMES = ("<img src=x onerror=alert(1)>", "a|b `c`: # d", "two_*three*")
TINY: dict[str, Any] = {
    "epochs": 1,
    "precision": "fp32",
    "device": "cpu",
    "batch_size": 16,
    "compile": "off",
    "loggers": [],
}


@pytest.fixture(scope="session")
def digits_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Digits 0, 1 and 2 as PNG files of 16×16 pixels, in class folders."""
    folder = tmp_path_factory.mktemp("digits") / "my data"
    images, labels = load_digits()
    for digit, name in enumerate(NAMES):
        (folder / name).mkdir(parents=True)
        for place, grey in enumerate(images[labels == digit][:40]):
            pixels = np.kron(grey * 15.9, np.ones((2, 2))).astype(np.uint8)
            Image.fromarray(pixels).convert("RGB").save(folder / name / f"{place:02}.png")
    return folder


@pytest.fixture(scope="session")
def run(digits_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A student of those digits, under a teacher of them."""
    folder = tmp_path_factory.mktemp("runs")
    data = {"name": str(digits_folder), "validation": 0.25, "flip": False}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TUTELAGE_CACHE", str(folder / "cache"))
        tutelage.train(data=data, model="resnet8", out=folder / "teacher", **TINY)
        tutelage.distill(data=data, teacher=folder / "teacher", student="resnet8", out=folder / "run", **TINY)
        yield folder / "run"


@pytest.fixture(scope="session")
def exported(run: Path) -> Path:
    """That student in every format that needs no phone."""
    formats = ["safetensors", "onnx", "int8", "torch_export"]
    need(*formats)
    export_student(run, format=formats, calibration=20)
    return run / "export"
