"""All export formats by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tutelage.data import Normalization
from tutelage.export.formats.executorch import open_executorch, write_executorch
from tutelage.export.formats.extras import require
from tutelage.export.formats.int8 import write_int8
from tutelage.export.formats.model_folder import open_folder, write_folder
from tutelage.export.formats.onnx import FILE, open_onnx, write_onnx
from tutelage.export.formats.torch_program import open_program, write_program
from tutelage.export.task import Task
from tutelage.runs import Predict


@dataclass(frozen=True)
class Format:
    """One export format: how to write it, and how to run it without the network's code."""

    file: str
    about: str
    write: Callable[[Task, Path], None]
    open: Callable[[Path], Predict]
    packages: tuple[str, ...] = ()
    """Packages of the extra ``export`` that it needs."""
    bare: bool = False
    """Whether it never includes the normalization."""
    one_image: bool = False
    """Whether a call takes one image instead of any number."""
    rounded: bool = False
    """Whether its logits differ from PyTorch's by design."""

    def predictor(self, path: Path, normalization: Normalization | None) -> Predict:
        """Return a function from uint8 images to logits; pass ``normalization`` if the file does not include it."""
        require(path.name, self.packages)
        predict = self.open(path)
        return predict if normalization is None else lambda images: predict(normalization(images))


_ONNX = ("onnx", "onnxscript", "onnxruntime")
FORMATS = {
    "safetensors": Format("model.safetensors", "weights in timm's layout", write_folder, open_folder, bare=True),
    "onnx": Format(FILE, "ONNX, float32", write_onnx, open_onnx, _ONNX),
    "int8": Format(
        "model-int8.onnx", "ONNX, 8-bit weights and activations", write_int8, open_onnx, _ONNX, rounded=True
    ),
    "executorch": Format(
        "model.pte", "ExecuTorch, XNNPACK", write_executorch, open_executorch, ("executorch",), one_image=True
    ),
    "torch_export": Format("model.pt2", "torch.export program", write_program, open_program),
}
