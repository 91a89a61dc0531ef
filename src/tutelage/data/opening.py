"""``open_data``: from settings to a data set that is ready to be trained on."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tutelage.data.cache import decode_once, pixel_statistics
from tutelage.data.folder import read_folder
from tutelage.data.images import ImageData, Split, carve
from tutelage.data.named import DATASETS
from tutelage.data.parquet import read_parquet
from tutelage.data.samples import ArraySamples, EncodedSamples, Rows, Samples
from tutelage.data.settings import DataSettings
from tutelage.data.source import Encoded, Pixels, Source
from tutelage.errors import TutelageError, nearest

IMAGENET_STATS = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
LARGE = 224
"""Side in pixels where images vary in size and none is asked for."""


def list_datasets() -> list[str]:
    """Returns the data sets that are known by name; folders are given by their path."""
    return list(DATASETS)


def open_data(settings: DataSettings) -> ImageData:
    """Opens a data set: reads what is in it, carves what is missing, decodes small images once.

    Raises :class:`TutelageError` for an unknown name, an empty or mixed-up folder, an image that cannot be read (where
    all are decoded beforehand), and settings that leave no validation and no test split.
    """
    source = _read(settings.name)
    samples = {name: _samples(split, source, settings, name) for name, split in source.splits.items()}
    train = samples["train"]
    kept = np.arange(len(train.labels), dtype=np.int64)
    held_out: Rows = np.empty(0, dtype=np.int64)
    if "validation" not in samples and settings.validation > 0:
        kept, held_out = carve(train.labels, settings.validation, settings.split_seed)
    if not len(held_out) and "validation" not in samples and "test" not in samples:
        raise TutelageError(
            f"data.validation={settings.validation:g}: {source.name} has no validation and no test split of its own, so "
            f"nothing would be left to measure on; give data.validation=0.1"
        )
    if settings.fraction < 1:
        chosen = carve(train.labels[kept], settings.fraction, settings.split_seed)[1]
        kept = kept[chosen]
    splits = {name: Split(part, np.arange(len(part.labels), dtype=np.int64)) for name, part in samples.items()}
    validation = Split(train, held_out) if len(held_out) else splits.get("validation")
    size, stats = _size_and_stats(train, source)
    return ImageData(
        name=source.name,
        classes=source.classes,
        size=size,
        train=Split(train, kept),
        validation=validation,
        test=splits.get("test"),
        mean=stats[0],
        std=stats[1],
        fingerprint=source.fingerprint,
        padding=source.padding if source.padding is not None else size[0] // 8,
        flip=source.flip,
        held_out=held_out.tolist(),
    )


def _read(name: str) -> Source:
    if name in DATASETS:
        return DATASETS[name]()
    path = Path(name).expanduser()
    if path.is_dir():
        return read_parquet(path) if next(path.rglob("*.parquet"), None) is not None else read_folder(path)
    close = nearest(name, DATASETS)
    hint = f"did you mean {close[0]}?" if close else f"known names: {', '.join(DATASETS)}"
    what = "is a file, not a folder" if path.exists() else "is no known data set and no folder"
    raise TutelageError(f"data={name} {what}: {hint}")


def _samples(split: Encoded | Pixels, source: Source, settings: DataSettings, name: str) -> Samples:
    if isinstance(split, Pixels) and settings.size in (None, split.images.shape[-1]):
        return ArraySamples(split.images, split.labels)
    if isinstance(split, Pixels):
        raise TutelageError(
            f"data.size={settings.size}: {source.name} has {split.images.shape[-1]} px images, kept as they are; leave "
            f"data.size out"
        )
    pixels = decode_once(split, f"{source.fingerprint[:32]}-{name}", settings.size)
    if pixels is not None:
        return ArraySamples(pixels.images, pixels.labels)
    size = settings.size or LARGE
    return EncodedSamples(
        read=split.read,
        labels=split.labels,
        size=size,
        scale=settings.scale or ((0.35, 1.0) if size <= 96 else (0.08, 1.0)),
        augment=settings.augment,
        view_seed=settings.view_seed,
        workers=settings.workers,
        skip_broken=settings.skip_broken,
    )


def _size_and_stats(train: Samples, source: Source) -> tuple[tuple[int, int], tuple[tuple[float, ...], ...]]:
    if isinstance(train, EncodedSamples):
        return (train.size, train.size), IMAGENET_STATS
    height, width = train.images.shape[-2:]
    if source.mean is not None and source.std is not None:
        return (height, width), (source.mean, source.std)
    return (height, width), pixel_statistics(train.images)
