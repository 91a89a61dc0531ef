"""The formats there are, by name."""

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
    """One format: how it is written, and how it is read without the network's code."""

    file: str
    about: str
    write: Callable[[Task, Path], None]
    open: Callable[[Path], Predict]
    packages: tuple[str, ...] = ()
    """What it needs of the extra ``export``."""
    bare: bool = False
    """Whether it holds the network alone, whatever is asked."""
    one_image: bool = False
    """Whether a call takes one image, not any number."""
    rounded: bool = False
    """Whether its logits are others than PyTorch's."""

    def predictor(self, path: Path, normalization: Normalization | None) -> Predict:
        """Returns what makes logits of uint8 images; ``normalization`` is for a file that has none."""
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
