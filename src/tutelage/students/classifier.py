"""Open a trained classifier: a run, a model folder or an exported file."""

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
    """A trained model ready for inference on the CPU, with any runtime."""

    path: Path
    model: str
    """Name of the network, and of the runtime if it is not PyTorch."""
    classes: tuple[str, ...]
    size: tuple[int, int]
    """Input size (H, W) in pixels."""
    framing: Framing
    """How images of any size are fitted to the input size."""
    predict: Predict
    """Unnormalized uint8 images (B, 3, H, W) → logits (B, K)."""
    one_image: bool
    """Whether the runtime takes one image per call."""
    parameters: int
    macs: int
    bytes: int
    """Size of the weights file."""
    rendering: Rendering = PLAIN
    named: bool = True
    """Whether the classes have names, not only numbers."""

    def view(self, image: Tensor) -> Tensor:
        """Return the evaluation view of a uint8 image (3, h, w) of any size."""
        return self.framing.centre(image)


def open_classifier(path: str | Path) -> Classifier:
    """Open a run folder, a model folder or a file of an export folder.

    Raises:
        TutelageError: If ``path`` is none of these, or the file's runtime is not installed.
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
        raise TutelageError(f"{path} is not among the files of this export; use one of {there}")
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
