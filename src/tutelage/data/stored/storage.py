"""Choose how the samples of a data set are stored: small images decoded, larger ones encoded."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from statistics import median

from tutelage.data.settings import DataSettings
from tutelage.data.source import Encoded, Pixels, ShardError, Source
from tutelage.data.stored.crops import Framing
from tutelage.data.stored.decode import read_image
from tutelage.data.stored.memory_map import Size, pack, resize_pixels
from tutelage.data.stored.samples import CropPolicy, DecodedSamples, PackedSamples, Samples
from tutelage.errors import TutelageError

SMALL = 64
"""Largest side of images of one size that are decoded once."""
LARGE = 224
"""Default side of the crops if images vary in size, are not square or are larger."""
LEAST_SHOWN = 0.5
"""Visible fraction of images below which there is a warning about the center crop."""
PROBED = 16
"""Number of images to read to find out whether all have one size."""


def open_samples(source: Source, settings: DataSettings) -> dict[str, Samples]:
    """Return the samples of the training split and of all splits with labels.

    If no split has labels, all splits are returned, to measure the agreement with a teacher.

    Args:
        source: The data set.
        settings: Size, augmentation and handling of unreadable images.

    Raises:
        TutelageError: If an image is unreadable and not skipped, or a setting does not apply to this kind of images.
    """
    labelled = {name for name, split in source.splits.items() if (split.labels >= 0).any()}
    splits = {
        name: split for name, split in source.splits.items() if name == "train" or name in labelled or not labelled
    }
    train = splits["train"]
    sizes = [train.images.shape[2:]] if isinstance(train, Pixels) else _probed_sizes(train, settings.skip_broken)
    native = sizes[0] if len(set(sizes)) == 1 else None
    packed = None
    if native is not None and max(native) <= SMALL and not settings.stream:
        packed = _pack_all(source, splits, native, settings)
        native = native if packed is not None else None
    if packed is not None:
        if settings.scale is not None:
            raise TutelageError(
                f"data.scale={settings.scale} applies to random resized crops of larger images, but those of "
                f"{source.name} are padded and cropped; set data.padding instead"
            )
        return {name: _packed_samples(pixels, settings.skip_broken) for name, pixels in packed.items()}
    if settings.padding is not None:
        raise TutelageError(
            f"data.padding={settings.padding} applies to small images of one size, but those of {source.name} are "
            f"cropped and resized as they are decoded; set data.scale instead"
        )
    framing = _framing(native, settings)
    scale = settings.scale or ((0.35, 1.0) if max(framing.size) <= 96 else (0.08, 1.0))
    policy = CropPolicy(framing, scale if settings.augment else None, settings.view_seed)
    _warn_of_hidden_parts(framing, sizes, source.name)
    return {
        name: DecodedSamples(split, policy, settings.workers, settings.skip_broken)
        for name, split in splits.items()
        if isinstance(split, Encoded)
    }


def _probed_sizes(encoded: Encoded, skip_broken: bool) -> list[Size]:
    """Return the (H, W) of a few images."""
    sizes: list[Size] = []
    faults = []
    for row in encoded.probes(PROBED).tolist():
        try:
            height, width = read_image(encoded, row).shape[1:]
            sizes.append((height, width))
        except TutelageError as error:
            if not skip_broken or isinstance(error, ShardError):
                raise
            faults.append(error)
    if not sizes:
        raise TutelageError(f"all of the {len(faults)} images checked are unreadable; the first: {faults[0]}")
    return sizes


def _pack_all(
    source: Source, splits: dict[str, Encoded | Pixels], native: Size, settings: DataSettings
) -> dict[str, Pixels] | None:
    """Return all splits decoded at the requested size or that of train; None if images of train differ in size."""
    size = settings.shape or native
    packed = {}
    for name, split in splits.items():
        key = f"{source.fingerprint}/{name}/{settings.rendering}"
        if isinstance(split, Pixels):
            pixels: Pixels | None = resize_pixels(split, key, size)
        else:
            pixels = pack(split, key, size, native if name == "train" else None)
        if pixels is None:
            return None
        packed[name] = pixels
    return packed


def _packed_samples(pixels: Pixels, skip_broken: bool) -> PackedSamples:
    if pixels.broken:
        first = next(iter(pixels.broken.values()))
        if not skip_broken:
            others = f" ({len(pixels.broken) - 1} more)" if len(pixels.broken) > 1 else ""
            raise TutelageError(first + others)
        warnings.warn(f"skipped {len(pixels.broken)} unreadable images; the first: {first}", stacklevel=2)
    if pixels.constant:
        first = next(iter(pixels.constant.values()))
        warnings.warn(f"{len(pixels.constant)} images have only one color; the first: {first}", stacklevel=2)
    return PackedSamples(pixels)


def _framing(native: Size | None, settings: DataSettings) -> Framing:
    usual = (LARGE, LARGE)
    if native is not None and native[0] == native[1]:
        usual = (min(native[0], LARGE), min(native[0], LARGE))
    return Framing(settings.shape or usual, settings.resize, fill=settings.background)


def _warn_of_hidden_parts(framing: Framing, sizes: Sequence[Size], name: str) -> None:
    shown = median(framing.shown(*size) for size in sizes)
    if shown < LEAST_SHOWN:
        height, width = sizes[len(sizes) // 2]
        warnings.warn(
            f"the center crop hides {1 - shown:.0%} of most images of {name} (one has {width}×{height} px); set "
            f"data.size=[HEIGHT,WIDTH] to their shape, or data.resize=squash or pad to keep them whole",
            stacklevel=2,
        )
