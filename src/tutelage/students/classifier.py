"""Anything that classifies images: a run, a model folder, a file of an export."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from tutelage.data import PLAIN, Normalization, Rendering
from tutelage.data.stored import Framing
from tutelage.errors import TutelageError
from tutelage.export import Record
from tutelage.export.formats import FORMATS
from tutelage.models import count_macs, parameter_count
from tutelage.paths import expand
from tutelage.runs import Predict, load_student, predictor


@dataclass(frozen=True, eq=False)
class Classifier:
    """A trained model, ready to be used on the CPU, whatever runs it."""

    path: Path
    model: str
    """The network, and the runtime where that is not PyTorch."""
    classes: tuple[str, ...]
    size: tuple[int, int]
    """(H, W) of its images."""
    framing: Framing
    """How an image of any size is fitted."""
    predict: Predict
    """Un-normalised uint8 images (B, 3, H, W) → logits (B, K)."""
    one_image: bool
    """Whether a call of its runtime takes one image, not any number."""
    parameters: int
    macs: int
    bytes: int
    """Of the file that holds the weights."""
    rendering: Rendering = PLAIN
    named: bool = True
    """Whether the classes have names, and are not mere numbers."""

    def view(self, image: Tensor) -> Tensor:
        """Returns what the model sees of an image (3, h, w), uint8, of any size: the views of evaluation."""
        return self.framing.centre(image)


def open_classifier(path: str | Path) -> Classifier:
    """Opens a run folder, a model folder, or a file of an export folder.

    Raises :class:`TutelageError` for anything else, and where a file's runtime is not installed.
    """
    path = expand(path)
    return _open_file(path) if path.is_file() else _open_folder(path)


def _open_folder(folder: Path) -> Classifier:
    student = load_student(folder)
    return Classifier(
        path=folder,
        model=student.spec.name,
        classes=student.classes,
        size=student.size,
        framing=student.framing,
        predict=predictor(student.classifier),
        one_image=False,
        parameters=parameter_count(student.network),
        macs=count_macs(student.network, student.size),
        bytes=Path(student.spec.source, FORMATS["safetensors"].file).stat().st_size,
        rendering=student.rendering,
        named=student.spec.classes is not None,
    )


def _open_file(path: Path) -> Classifier:
    record = Record.read(path.parent)
    file = next((file for file in record.files if file.file == path.name), None)
    if file is None:
        there = ", ".join(file.file for file in record.files)
        raise TutelageError(f"{path} is not among the files of this export: {there}")
    height, width = record.input["size"]
    rendering = Rendering(**record.input.get("rendering", {}))
    bare = None if file.preprocessing else Normalization(record.input["mean"], record.input["std"])
    return Classifier(
        path=path,
        model=f"{record.model}, {file.format}",
        classes=tuple(record.classes),
        size=(height, width),
        framing=Framing((height, width), record.input.get("fit", "crop"), record.input["crop"], rendering.background),
        predict=FORMATS[file.format].predictor(path, bare),
        one_image=file.one_image,
        parameters=record.parameters,
        macs=record.macs,
        bytes=path.stat().st_size,
        rendering=rendering,
    )
