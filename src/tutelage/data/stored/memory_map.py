"""Decode small images once into a memory map that all processes share."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from tutelage.console import phase
from tutelage.data.source import Encoded, Pixels, ShardError, fingerprint_words
from tutelage.data.stored.crops import resize
from tutelage.data.stored.decode import is_constant, read_image
from tutelage.data.stored.derived import make_once, reserve
from tutelage.errors import TutelageError

Size = tuple[int, int]

_FORMAT = 2
"""Version in every key. Increase it if decoding or resizing changes pixels."""


class _OtherSize(Exception):
    pass


def pack(encoded: Encoded, key: str, size: Size, native: Size | None) -> Pixels | None:
    """Return a split decoded and resized to ``size``. Unreadable images are listed in ``broken``.

    Args:
        encoded: The encoded images.
        key: Identifier of the split and its rendering.
        size: Size (H, W) of the result.
        native: Size (H, W) that all images must have. None for any size.

    Returns:
        The pixels, or None if an image does not have the ``native`` size.
    """

    def make(folder: Path) -> None:
        images = _create(folder, len(encoded), size)
        constant: dict[int, str] = {}

        def fill(rows: range) -> dict[int, str]:
            faults = {}
            for row in rows:
                try:
                    image = read_image(encoded, row)
                except ShardError:
                    raise
                except TutelageError as error:
                    faults[row] = str(error)
                    continue
                if native is not None and tuple(image.shape[1:]) != native:
                    raise _OtherSize
                if is_constant(image):
                    constant[row] = encoded.place(row)
                images[row] = resize(image, size).numpy()
            return faults

        stretches = [range(len(encoded))[start : start + 256] for start in range(0, len(encoded), 256)]
        # Threads suffice, because decoders release the GIL.
        with (
            ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool,
            phase("decoding images", len(encoded)) as advance,
        ):
            broken: dict[int, str] = {}
            for stretch, faults in zip(stretches, pool.map(fill, stretches)):
                broken |= faults
                advance(len(stretch))
        images.flush()
        (folder / "broken.json").write_text(json.dumps(broken), encoding="utf-8")
        (folder / "constant.json").write_text(json.dumps(dict(sorted(constant.items()))), encoding="utf-8")

    try:
        folder = make_once("images", _key(key, size), make)
    except _OtherSize:
        return None
    return Pixels(_open(folder), encoded.labels, _rows(folder / "broken.json"), _rows(folder / "constant.json"))


def _rows(path: Path) -> dict[int, str]:
    return {int(row): said for row, said in json.loads(path.read_text("utf-8")).items()}


def keep(key: str, read: Callable[[], Pixels]) -> Pixels:
    """Return the result of ``read`` as a memory map, which is made on first use."""

    def make(folder: Path) -> None:
        with phase("reading images"):
            pixels = read()
        _create(folder, len(pixels.images), pixels.images.shape[2:])[:] = pixels.images
        np.save(folder / "labels.npy", pixels.labels)

    folder = make_once("images", _key(key, None), make)
    return Pixels(_open(folder), np.load(folder / "labels.npy"))


def resize_pixels(pixels: Pixels, key: str, size: Size) -> Pixels:
    """Return ``pixels`` resized to ``size`` with antialiasing, as a memory map, which is made on first use."""
    if pixels.images.shape[2:] == size:
        return pixels

    def make(folder: Path) -> None:
        images = _create(folder, len(pixels.images), size)
        with phase("resizing images", len(pixels.images)) as advance:
            for row, image in enumerate(pixels.images):
                images[row] = resize(torch.from_numpy(np.array(image)), size).numpy()
                advance(1)
        images.flush()

    return Pixels(_open(make_once("images", _key(key, size), make)), pixels.labels, pixels.broken, pixels.constant)


def pixel_statistics(images: npt.NDArray[np.uint8]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return the mean and standard deviation per channel of images (N, 3, H, W), for pixels in [0, 1].

    Both are rounded to four decimals.
    """
    counts = np.zeros((3, 256), dtype=np.int64)
    for start in range(0, len(images), 4096):
        for channel in range(3):
            counts[channel] += np.bincount(images[start : start + 4096, channel].ravel(), minlength=256)
    levels = np.arange(256) / 255
    total = counts.sum(1)
    mean = counts @ levels / total
    deviation = np.sqrt((counts * (levels - mean[:, None]) ** 2).sum(1) / total)
    # The minimum avoids a division by zero for a constant channel.
    return tuple(mean.round(4).tolist()), tuple(np.maximum(deviation, 1e-3).round(4).tolist())


def _create(folder: Path, count: int, size: Size) -> np.memmap[Any, np.dtype[np.uint8]]:
    path = folder / "images.npy"
    images: np.memmap[Any, np.dtype[np.uint8]] = np.lib.format.open_memmap(
        path, mode="w+", dtype=np.uint8, shape=(count, 3, *size)
    )
    reserve(path, path.stat().st_size)
    return images


def _open(folder: Path) -> npt.NDArray[np.uint8]:
    return np.load(folder / "images.npy", mmap_mode="r")


def _key(key: str, size: Size | None) -> str:
    return fingerprint_words(_FORMAT, key, size)[:32]
