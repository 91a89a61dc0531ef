"""Compare size, speed and accuracy of several models."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, Field

from tutelage.config import Settings, as_mapping, load
from tutelage.data import DataSettings, ImageData, open_data
from tutelage.export import measure
from tutelage.measure import describe_machine, median_milliseconds
from tutelage.models import made_known
from tutelage.paths import check_out
from tutelage.students.classifier import Classifier, open_classifier
from tutelage.training.job import match_data, measured_data

BATCH = 32
"""Size of the larger timed batch."""


class CompareSettings(Settings):
    """Settings of ``tutelage compare``."""

    data: DataSettings | None = Field(
        None, description="images to measure accuracy on; default: the data of the first run"
    )
    out: Path | None = Field(None, description="JSON file for the results")
    overwrite: bool = Field(False, description="replace an existing out file")


class ComparisonRow(BaseModel):
    """Results of one model. Times are medians, from unnormalized uint8 images to logits."""

    model_config = ConfigDict(frozen=True)

    path: str
    model: str
    parameters: int
    megabytes: float
    """Size of the weights file in millions of bytes."""
    macs: int
    milliseconds_1: float
    """Time for one image."""
    milliseconds_32: float | None
    """Time for a batch of 32; None if the runtime takes one image per call."""
    images_per_second: float
    """Throughput in batches of 32, or one by one if the runtime takes one image per call."""
    top1: float | None
    """In percent; None without labeled data."""


class Comparison(BaseModel):
    """Result of :func:`compare`."""

    model_config = ConfigDict(frozen=True)

    rows: list[ComparisonRow]
    data: str | None
    split: str | None
    images: int | None
    machine: str


def compare(models: Sequence[str | Path], **config: Any) -> Comparison:
    """Measure size, multiply-accumulates, latency, throughput and accuracy of several models on this machine's CPU.

    Accuracy is measured on the same images for all models, each at its own input size. These are the test split of
    ``data``, otherwise the validation split, otherwise all images, except those that a run was trained on. ``data``
    defaults to the data of the first run. Without data, accuracy is not measured.

    Args:
        models: Run folders, model folders and files of export folders.
        config: Keys of ``CompareSettings``: ``data``, ``out`` and ``overwrite``. Pass ``network`` for models that are
            your own networks, as in ``tutelage.resume``.

    Returns:
        One row per model, with the data and the machine of the measurement.

    Raises:
        TutelageError: If a path is not a model, the models' classes differ from those of the data, or ``out`` exists.

    Example:
        >>> import tutelage
        >>> from tutelage.models import ModelSpec, save_model
        >>> for folder, name in (("small", "resnet8"), ("large", "resnet14")):
        ...     spec = ModelSpec(name, 10, input_size=(32, 32), mean=(0.5, 0.5, 0.5), std=(0.2, 0.2, 0.2))
        ...     save_model(tutelage.create_model(name), folder, spec)
        >>> [row.parameters for row in tutelage.compare(["small", "large"]).rows]
        [78042, 175258]
    """
    with made_known(config.pop("network", None)):
        return _compare(models, config)


def _compare(models: Sequence[str | Path], config: dict[str, Any]) -> Comparison:
    known = measured_data(as_mapping(config).get("data"), models)
    settings = load(CompareSettings, as_mapping({"data": known} if known else {}, config))
    out = settings.out.expanduser() if settings.out is not None else None
    if out is not None:
        check_out(out, settings.overwrite, "a file", out.is_file())
    classifiers = [open_classifier(model) for model in models]
    accuracy = _Accuracy(settings.data, classifiers) if settings.data is not None else None
    comparison = Comparison(
        rows=[_row(classifier, accuracy) for classifier in classifiers],
        data=accuracy.data.name if accuracy is not None else None,
        split=accuracy.name if accuracy is not None else None,
        images=len(accuracy.split) if accuracy is not None else None,
        machine=describe_machine(),
    )
    if out is not None:
        out.write_text(comparison.model_dump_json(indent=2) + "\n", encoding="utf-8")
    return comparison


class _Accuracy:
    """Top-1 accuracy of any model on one set of images."""

    def __init__(self, settings: DataSettings, classifiers: Sequence[Classifier]) -> None:
        self._settings = settings
        self.data = open_data(settings)
        self.name, self.split = self.data.headline
        for classifier in classifiers:
            self._matched(self.data, classifier)

    def __call__(self, classifier: Classifier) -> float | None:
        data = self.data
        if data.size != classifier.size and (data.crop < 1 or data.resize != "crop"):
            # Larger images are cropped while decoding, so they must be opened again at this model's size.
            data = open_data(self._settings.model_copy(update={"size": classifier.size}))
        label = f"measuring {classifier.path} on {self.name}"
        split = self._matched(data, classifier).headline[1]
        return measure({"": classifier.predict}, split, classifier.size, label)[""].top1

    def _matched(self, data: ImageData, classifier: Classifier) -> ImageData:
        return match_data(
            data, classifier.classes if classifier.named else None, len(classifier.classes), str(classifier.path)
        )


def _row(classifier: Classifier, accuracy: _Accuracy | None) -> ComparisonRow:
    images = torch.randint(0, 256, (BATCH, 3, *classifier.size), dtype=torch.uint8)
    one = median_milliseconds(lambda: classifier.predict(images[:1]))
    many = None if classifier.one_image else median_milliseconds(lambda: classifier.predict(images))
    return ComparisonRow(
        path=str(classifier.path),
        model=classifier.model,
        parameters=classifier.parameters,
        megabytes=classifier.bytes / 1e6,
        macs=classifier.macs,
        milliseconds_1=one,
        milliseconds_32=many,
        images_per_second=1000 / one if many is None else 1000 * BATCH / many,
        top1=accuracy(classifier) if accuracy is not None else None,
    )
