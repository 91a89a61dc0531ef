"""Open a data set for training, as its settings describe it."""

from __future__ import annotations

import warnings
from functools import partial
from pathlib import Path

import numpy as np

from tutelage.data.images import ImageData
from tutelage.data.loader import Split, Windows
from tutelage.data.settings import DataSettings
from tutelage.data.shards.streamed_sources import Streaming
from tutelage.data.source import Encoded, Pixels, Rows, Sharded, Source, fingerprint_words
from tutelage.data.sources.duplicates import FileRows, describe_duplicates
from tutelage.data.sources.hub import is_repository, read_repository
from tutelage.data.sources.image_files import FileImages
from tutelage.data.sources.image_folder import find_split_folders, read_split_folders
from tutelage.data.sources.named import DATASETS, REPOSITORIES, find
from tutelage.data.sources.parquet import find_parquet, read_parquet
from tutelage.data.sources.table import read_metadata, read_table
from tutelage.data.sources.tar import find_shards, read_tar
from tutelage.data.split import carve_from_shards, carve_validation, stratified, to_unlabel, without
from tutelage.data.stored.crops import CENTRE
from tutelage.data.stored.memory_map import pixel_statistics
from tutelage.data.stored.samples import DecodedSamples, PackedSamples, Samples
from tutelage.data.stored.storage import open_samples
from tutelage.data.views.mixing import Mixing
from tutelage.data.views.random_views import Views
from tutelage.data.visible_files import TABLES
from tutelage.errors import TutelageError, nearest
from tutelage.paths import expand

IMAGENET_STATS = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def list_datasets() -> list[str]:
    """Return the names of the built-in data sets. Other data sets are set by the path of their folder or file.

    Example:
        >>> from tutelage import list_datasets
        >>> "cifar100" in list_datasets()
        True
    """
    return list(DATASETS)


def open_data(settings: DataSettings) -> ImageData:
    """Open a data set, and split off a validation set if the data have none and ``data.validation`` is not 0.

    Images of equal size up to 64 pixels are decoded once into a memory map. Larger images are decoded by worker
    processes when they are needed.

    Args:
        settings: Name or path, splits and augmentation.

    Raises:
        TutelageError: If the name is unknown, the folder is empty or ambiguous, the settings do not fit the data, or
            an image that is decoded beforehand is unreadable.

    Example:
        >>> from tutelage.data import DataSettings, open_data
        >>> data = open_data(DataSettings(name="digits", validation=0.1))
        >>> len(data.classes), data.size, len(data.train), len(data.validation), len(data.test)
        (10, (16, 16), 1293, 145, 359)
    """
    source = read_source(settings)
    for encoded in source.splits.values():
        if isinstance(encoded, Encoded):
            encoded.rendering = settings.rendering
    for note in source.notes:
        warnings.warn(f"{source.name}: {note}", stacklevel=2)
    samples = open_samples(source, settings)
    rows = {split: _readable(part) for split, part in samples.items()}
    _warn_of_missing_classes(source, samples, rows)
    unlabelled = " and ".join(sorted(source.splits.keys() - samples.keys()))
    if unlabelled:
        warnings.warn(f"{source.name}: {unlabelled} has no labels, so its images are not used", stacklevel=2)
    train = samples["train"]
    kept, held_out = rows["train"], np.empty(0, dtype=np.int64)
    encoded = source.splits["train"]
    starts = encoded.starts if settings.stream and isinstance(encoded, Sharded) else None
    if "validation" not in samples and settings.validation > 0:
        carve = carve_validation if starts is None else partial(carve_from_shards, starts)
        held_out = carve(train.labels, kept, settings.validation, settings.split_seed, source.classes)
        kept = without(kept, held_out)
    if settings.fraction < 1:
        kept = stratified(train.labels, kept, settings.fraction, settings.split_seed)
    if settings.labelled < 1:
        _check_labels(source, settings, train.labels[kept])
        train.unlabel(to_unlabel(train.labels, kept, settings.labelled, settings.split_seed))
    splits = {split: Split(part, rows[split]) for split, part in samples.items() if split != "train"}
    if len(held_out):
        splits["validation"] = Split(train, held_out)
    files = {split: source.splits[split] for split in samples}
    _warn_of_copies(source.name, files, kept, splits)
    windows = Windows(starts, settings.window) if starts is not None else None
    return _describe(source, settings, Split(train, kept, windows, settings.sampling == "balanced"), splits, held_out)


def _describe(
    source: Source, settings: DataSettings, train: Split, splits: dict[str, Split], held_out: Rows
) -> ImageData:
    """Return the opened data with statistics, fingerprint and augmentation."""
    samples = train.samples
    if isinstance(samples, DecodedSamples):
        policy = samples.policy
        size, (mean, std), padding = policy.framing.size, IMAGENET_STATS, 0
        yields: tuple[object, ...] = (size, policy.scale, policy.view_seed if policy.scale else None)
        yields += (settings.resize,) if settings.resize != "crop" else ()
    else:
        assert isinstance(samples, PackedSamples)
        size = samples.images.shape[2], samples.images.shape[3]
        known = source.mean is not None and source.std is not None
        mean, std = (source.mean, source.std) if known else pixel_statistics(samples.images)  # type: ignore[assignment]
        padding = source.padding if source.padding is not None else min(size) // 8
        yields = (size,)
    encoded = source.splits["train"]
    return ImageData(
        name=source.name,
        classes=source.classes,
        size=size,
        train=train,
        validation=splits.get("validation"),
        test=splits.get("test"),
        mean=mean,
        std=std,
        fingerprint=fingerprint_words(source.fingerprint, *yields, settings.rendering),
        views=Views.of(settings, padding, source.flip),
        mixing=Mixing.of(settings, len(source.classes)),
        crop=CENTRE if isinstance(samples, DecodedSamples) and settings.resize == "crop" else 1.0,
        resize=settings.resize if isinstance(samples, DecodedSamples) else "crop",
        held_out=[encoded.place(row) for row in held_out] if isinstance(encoded, FileImages) else held_out.tolist(),
    )


def read_source(settings: DataSettings) -> Source:
    """Read a data set by name, from a folder or CSV file, or from the hub, before validation images are split off.

    Raises:
        TutelageError: If the data set is none of these, or cannot be read.
    """
    name = settings.name
    folder = find(name) or expand(name)
    if name in DATASETS and folder.is_dir() and not folder.is_absolute():
        warnings.warn(f"data={name} is read from the folder of this name in the working directory", stacklevel=3)
    repository = REPOSITORIES.get(name, name)
    if settings.stream:
        streaming = Streaming(settings.window, int(settings.disk_gb * 1e9) if settings.disk_gb is not None else None)
        if folder.is_dir():
            return streaming.folder(folder)
        if is_repository(repository) and not folder.exists():
            return streaming.repository(repository)
        if name in DATASETS:
            raise TutelageError(f"data.stream=true only applies to shards, and {name} has none; remove data.stream")
    elif folder.is_dir():
        return _read_folder(folder, settings)
    elif folder.is_file() and folder.suffix.lower() in TABLES:
        return read_table(folder, settings)
    elif name in DATASETS:
        return DATASETS[name]()
    elif is_repository(name) and not folder.exists():
        return read_repository(name)
    close = nearest(name, DATASETS)
    hint = f"did you mean {' or '.join(close)}?" if close else f"known names: {', '.join(DATASETS)}"
    what = (
        "is a file, not a folder or a CSV file"
        if folder.exists()
        else "is not a known data set, and there is no such folder"
    )
    raise TutelageError(f"data={name} {what}; {hint}")


def _read_folder(folder: Path, settings: DataSettings) -> Source:
    files = find_parquet(folder)
    if files:
        return read_parquet(folder, files)
    shards = find_shards(folder)
    if shards:
        return read_tar(folder, shards)
    splits = find_split_folders(folder)
    return read_metadata(splits, settings) or read_split_folders(splits)


def _check_labels(source: Source, settings: DataSettings, labels: Rows) -> None:
    if (labels < 0).all():
        raise TutelageError(
            f"data.labelled={settings.labelled:g}: the training images of {source.name} have no labels; remove "
            f"data.labelled"
        )


def _readable(samples: Samples) -> Rows:
    return without(np.arange(len(samples.labels), dtype=np.int64), np.array(sorted(samples.broken), dtype=np.int64))


def _warn_of_copies(name: str, files: dict[str, Encoded | Pixels], kept: Rows, held_out: dict[str, Split]) -> None:
    """Warn of held-out images whose files are copies of training images, also of those split off from train."""
    train = files["train"]
    if not isinstance(train, FileImages):
        return
    own = {split: files.get(split, train) for split in held_out}
    found = {split: FileRows(each, held_out[split].rows) for split, each in own.items() if isinstance(each, FileImages)}
    for note in describe_duplicates(FileRows(train, kept), found):
        warnings.warn(f"{name}: {note}", stacklevel=3)


def _warn_of_missing_classes(source: Source, samples: dict[str, Samples], rows: dict[str, Rows]) -> None:
    """Warn of classes without images to measure on. This is not an error: small test sets may lack rare classes."""
    trained = set(samples["train"].labels[rows["train"]])
    for split in samples.keys() - {"train"}:
        missing = sorted(trained - set(samples[split].labels[rows[split]]) - {-1})
        if missing:
            names = ", ".join(source.classes[label] for label in missing[:5]) + (", …" if len(missing) > 5 else "")
            warnings.warn(f"the {split} split of {source.name} has no images of {names}", stacklevel=3)
