"""Reopen the written files and compare them with PyTorch."""

from __future__ import annotations

from importlib import metadata, util
from pathlib import Path

from torch import Tensor

from tutelage.data import ImageData, Split
from tutelage.errors import TutelageError
from tutelage.export.formats.register import FORMATS
from tutelage.export.record import File, Record
from tutelage.export.settings import ExportSettings
from tutelage.export.task import Task, describe_input
from tutelage.export.verify import Agreement, batches, measure, spread
from tutelage.measure import describe_machine, median_milliseconds
from tutelage.models import count_macs, extension_of, parameter_count
from tutelage.runs import Predict, Student, predictor
from tutelage.training.job import match_data

PACKAGES = ("tutelage", "torch", "timm", "onnx", "onnxruntime", "executorch")
TOLERANCE = 1e-3
"""Allowed difference relative to the largest logit, enough for another order of float32 additions."""


def measured_split(student: Student, data: ImageData, count: int | None) -> tuple[str, Split]:
    """Return the name and the images of the split to check with, the test split if there is one.

    Raises:
        TutelageError: If the model does not fit the data.
    """
    data = match_data(data, student.spec.classes, student.spec.num_classes, str(student.source))
    name, split = data.headline
    return name, spread(split, count)


def check(task: Task, settings: ExportSettings, folder: Path, data: ImageData, name: str, split: Split) -> Record:
    """Return the record of an export.

    Raises:
        TutelageError: If a file's logits differ from PyTorch's.
    """
    student = task.student
    pytorch = predictor(student.classifier)
    opened: dict[str, Predict] = {format: _open(task, format, folder) for format in settings.format}
    label = f"comparing with PyTorch on {name}"
    measured = measure({"PyTorch": pytorch, **opened}, split, student.size, label)
    image = next(batches(split, student.size))[0][:1]
    return Record(
        model=student.spec.name,
        extended=extension_of(student.network) is not None,
        source=str(student.source),
        parameters=parameter_count(student.network),
        macs=count_macs(student.network, student.size),
        classes=list(student.classes),
        input=describe_input(student, settings.preprocessing),
        data=data.name,
        split=name,
        images=len(split),
        pytorch_top1=measured["PyTorch"].top1,
        pytorch_milliseconds=_milliseconds(pytorch, image),
        calibration=len(spread(data.train, settings.calibration)) if "int8" in settings.format else None,
        files=[_describe(task, format, folder, measured[format], opened[format], image) for format in opened],
        machine=describe_machine(),
        packages={package: metadata.version(package) for package in PACKAGES if util.find_spec(package)},
    )


def _open(task: Task, format: str, folder: Path) -> Predict:
    normalization = None if _whole(task, format) else task.student.normalization
    return FORMATS[format].predictor(folder / FORMATS[format].file, normalization)


def _whole(task: Task, format: str) -> bool:
    return task.preprocessing and not FORMATS[format].bare


def _describe(task: Task, name: str, folder: Path, measured: Agreement, predict: Predict, image: Tensor) -> File:
    format = FORMATS[name]
    if not format.rounded and measured.difference > TOLERANCE * max(1.0, measured.largest):
        raise TutelageError(
            f"format={name}: the logits of {format.file} differ from PyTorch's by up to {measured.difference:.2g}, so "
            f"the file was not kept; use another format"
        )
    return File(
        format=name,
        file=format.file,
        bytes=(folder / format.file).stat().st_size,
        preprocessing=_whole(task, name),
        one_image=format.one_image,
        top1=measured.top1,
        same_prediction=measured.same,
        largest_difference=measured.difference,
        milliseconds=_milliseconds(predict, image),
    )


def _milliseconds(predict: Predict, image: Tensor) -> float:
    return median_milliseconds(lambda: predict(image))
