"""Post-training static quantization of the ONNX file with onnxruntime."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tutelage.export.formats.extras import quiet
from tutelage.export.formats.onnx import FILE, INPUT, write_onnx
from tutelage.export.task import Task

QUANTIZED = [
    *("Conv", "Gemm", "MatMul", "Add", "Concat"),
    *("Relu", "Clip", "MaxPool", "AveragePool", "GlobalAveragePool"),
]
"""Quantized operations: the expensive ones and those between them. Normalization, softmax and layer norm stay float."""


class _Batches:
    """Calibration batches with the interface of onnxruntime's ``CalibrationDataReader``."""

    def __init__(self, batches: Iterator[npt.NDArray[Any]]) -> None:
        self._batches = batches

    def get_next(self) -> dict[str, npt.NDArray[Any]] | None:
        images = next(self._batches, None)
        return None if images is None else {INPUT: images}


def write_int8(task: Task, path: Path) -> None:
    """Write the student as ONNX (QDQ) with 8-bit weights, one scale per channel, and 8-bit activations.

    Activation ranges are the minimum and maximum over ``task.calibration``. Weights and activations are signed, because
    unsigned activations overflow on x86 processors without VNNI.
    """
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    CalibrationDataReader.register(_Batches)
    plain, prepared = path.with_name(FILE), path.with_suffix(".prepared")
    wanted = plain.exists()
    if not wanted:
        write_onnx(task, plain)
    with quiet():
        # The exporter already wrote the shapes, and symbolic inference fails on some graphs.
        quant_pre_process(plain, prepared, skip_symbolic_shape=True)
        quantize_static(
            prepared,
            path,
            _Batches(np.asarray(task.shown(images)) for images, _ in task.calibration()),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=QUANTIZED,
            per_channel=True,
            activation_type=QuantType.QInt8,
            weight_type=QuantType.QInt8,
        )
    prepared.unlink()
    if not wanted:
        plain.unlink()
