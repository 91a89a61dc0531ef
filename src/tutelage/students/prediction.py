"""Classify image files with a trained model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from tutelage.data import SUFFIXES, Rendering, list_images
from tutelage.data.stored import UNREADABLE, decode
from tutelage.errors import TutelageError
from tutelage.models import Networks, made_known
from tutelage.paths import expand
from tutelage.students.classifier import Classifier, open_classifier

BATCH = 16


@dataclass(frozen=True)
class Prediction:
    """The most likely classes of one image, best first."""

    image: Path
    classes: tuple[tuple[str, float], ...]
    """Names and probabilities."""


def predict(
    model: str | Path, images: Sequence[str | Path], top: int = 5, network: Networks = None
) -> Iterator[Prediction]:
    """Yield the ``top`` classes of each image with their probabilities, in the order of ``images``.

    Images are decoded, cropped and resized as in evaluation, so they can have any size and any format that Pillow
    reads. A folder contributes all images in it and its subfolders.

    Args:
        model: A run folder, a model folder, or a file of an export folder.
        images: Image files and folders.
        top: Maximum number of classes per image.
        network: Your own network, if the model is one, as in ``tutelage.resume``.

    Yields:
        One prediction per image.

    Raises:
        TutelageError: If ``model`` is not a model or ``images`` does not exist, before any image is read; or if a file
            is not a readable image.

    Example:
        >>> import tutelage
        >>> from PIL import Image
        >>> from tutelage.models import ModelSpec, save_model
        >>> spec = ModelSpec("resnet8", 3, input_size=(32, 32), mean=(0.5, 0.5, 0.5), std=(0.2, 0.2, 0.2))
        >>> save_model(tutelage.create_model("resnet8", num_classes=3), "student", spec)
        >>> Image.new("RGB", (48, 48)).save("photo.png")
        >>> for prediction in tutelage.predict("student", ["photo.png"]):
        ...     print(prediction.image, len(prediction.classes))
        photo.png 3
    """
    with made_known(network):
        classifier = open_classifier(model)
    files = [file for image in images for file in _files(expand(image))]
    return _predict(classifier, files, min(top, len(classifier.classes)))


def _predict(classifier: Classifier, files: Sequence[Path], top: int) -> Iterator[Prediction]:
    for start in range(0, len(files), BATCH):
        batch = files[start : start + BATCH]
        views = torch.stack([classifier.view(_read(file, classifier.rendering)) for file in batch])
        likeliest = classifier.predict(views).float().softmax(1).topk(top)
        for file, values, places in zip(batch, likeliest.values.tolist(), likeliest.indices.tolist()):
            yield Prediction(file, tuple((classifier.classes[place], value) for place, value in zip(places, values)))


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise TutelageError(f"{path}: there is no such image or folder; check the path")
    found = list_images(path).images
    if not found:
        raise TutelageError(f"{path} contains no images; supported suffixes are {', '.join(SUFFIXES)}")
    return found


def _read(file: Path, rendering: Rendering) -> Tensor:
    try:
        return decode(file.read_bytes(), rendering)
    except UNREADABLE as error:
        raise TutelageError(
            f"{file} is not a readable image ({' '.join(str(error).split())}); remove or convert it"
        ) from None
