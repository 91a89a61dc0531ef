"""What a model says of images in files."""

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
    """The likeliest classes of one image, the likeliest first."""

    image: Path
    classes: tuple[tuple[str, float], ...]
    """Name and probability."""


def predict(
    model: str | Path, images: Sequence[str | Path], top: int = 5, network: Networks = None
) -> Iterator[Prediction]:
    """Yields the ``top`` classes of each image with their probabilities, in the order given.

    Images are read, cropped and resized as in evaluation, so they may be of any size and of any format that Pillow
    reads; a folder stands for the images at any depth below it.

    Args:
        model: a run folder, a model folder, or a file of an export folder.
        images: files and folders.
        top: how many classes; all where there are fewer.
        network: for a model that is a network of your own, that again, as in :func:`tutelage.resume`.

    Raises :class:`TutelageError` for what is no model, before any image is read, and for what is no image.
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
        raise TutelageError(f"{path}: there is no such image")
    found = list_images(path).images
    if not found:
        raise TutelageError(f"{path} holds no images ({', '.join(SUFFIXES)})")
    return found


def _read(file: Path, rendering: Rendering) -> Tensor:
    try:
        return decode(file.read_bytes(), rendering)
    except UNREADABLE as error:
        raise TutelageError(f"{file} is not a readable image ({' '.join(str(error).split())})") from None
