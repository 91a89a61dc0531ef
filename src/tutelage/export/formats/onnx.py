"""ONNX files, written by PyTorch's exporter and run by onnxruntime."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tutelage.export.formats.extras import quiet
from tutelage.export.task import Task
from tutelage.runs import Predict

OPSET = 18
"""The oldest version the exporter supports, so that old runtimes can read the file."""
INPUT, OUTPUT = "images", "logits"
FILE = "model.onnx"


def write_onnx(task: Task, path: Path) -> None:
    """Write the student with input ``images`` (batch, 3, H, W) and output ``logits`` (batch, K)."""
    import onnx

    with quiet():
        program = torch.onnx.export(
            task.module,
            (task.example,),
            dynamo=True,
            opset_version=OPSET,
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamic_shapes=({0: torch.export.Dim("batch", min=1)},),
            verbose=False,
        )
        assert program is not None
        model = program.model_proto
        for node in model.graph.node:
            node.ClearField("metadata_props")  # contains paths of this machine
        onnx.helper.set_model_props(model, task.metadata())
        onnx.checker.check_model(model)
        onnx.save(model, path)


def open_onnx(path: Path) -> Predict:
    """Open an ONNX file with onnxruntime, using as many threads as PyTorch."""
    session = open_session(path)

    def predict(images: Tensor) -> Tensor:
        (logits,) = session.run([OUTPUT], {INPUT: images.numpy()})
        return torch.from_numpy(logits)

    return predict


def open_session(path: Path) -> Any:
    """Return an ``onnxruntime.InferenceSession`` on the CPU."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
