"""Where decoded data are kept, and the memory maps in it."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torchvision.transforms.v2.functional as TF
from torch import Tensor

from tutelage.data.decode import decode
from tutelage.data.source import Encoded, Pixels

SMALL = 64
"""Images of one size, no side longer than this, are decoded once and for all."""


def cache_folder() -> Path:
    """Returns ``$TUTELAGE_CACHE``, else ``~/.cache/tutelage``."""
    return Path(os.environ.get("TUTELAGE_CACHE", "~/.cache/tutelage")).expanduser()


def decode_once(encoded: Encoded, key: str, size: int | None) -> Pixels | None:
    """Returns the split as a memory map, made on first use; None where its images are large, or of several sizes.

    The map is written under another name and then renamed: two processes may make it at once, and one that dies leaves
    nothing that would be read. Raises :class:`TutelageError` for an image that cannot be read.
    """
    if not len(encoded.labels):
        return None
    shape = tuple(decode(*encoded.read(0)).shape)
    if max(shape) > SMALL:
        return None
    if size is not None:
        shape = (3, size, size)
    path = cache_folder() / "images" / f"{key}-{shape[1]}x{shape[2]}.npy"
    if not path.exists() and not _write(encoded, path, shape, resize=size is not None):
        return None
    return Pixels(np.load(path, mmap_mode="r"), encoded.labels)


def _write(encoded: Encoded, path: Path, shape: tuple[int, ...], resize: bool) -> bool:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(f".{os.getpid()}.partial")
    images = np.lib.format.open_memmap(partial, mode="w+", dtype=np.uint8, shape=(len(encoded.labels), *shape))

    def place(row: int) -> bool:
        image: Tensor = decode(*encoded.read(row))
        if resize and image.shape != shape:
            image = TF.resize(image, list(shape[1:]), antialias=True)
        if image.shape != shape:
            return False
        images[row] = image.numpy()
        return True

    try:
        with ThreadPoolExecutor() as pool:
            uniform = all(pool.map(place, range(len(encoded.labels)), chunksize=256))
        images.flush()
        if uniform:
            partial.replace(path)
        return uniform
    finally:
        partial.unlink(missing_ok=True)


def pixel_statistics(images: npt.NDArray[np.uint8]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Returns mean and standard deviation of each channel, of pixels in [0, 1], to four places."""
    total, squares, pixels = np.zeros(3), np.zeros(3), 0
    for start in range(0, len(images), 4096):
        part = images[start : start + 4096].astype(np.float64) / 255
        total += part.sum((0, 2, 3))
        squares += (part**2).sum((0, 2, 3))
        pixels += part[:, 0].size
    mean = total / pixels
    deviation = np.sqrt(squares / pixels - mean**2)
    return tuple(mean.round(4).tolist()), tuple(deviation.round(4).clip(min=1e-4).tolist())
