"""Write tar shards of shrunk and shuffled images."""

from __future__ import annotations

import io
import itertools
import json
import os
import shutil
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from tutelage.console import Advance, phase
from tutelage.data.hashing import Stream, bits
from tutelage.data.opening import read_source
from tutelage.data.settings import DataSettings
from tutelage.data.source import Encoded, Source
from tutelage.data.sources.tar_index import INDEX, scan
from tutelage.data.stored.crops import resize
from tutelage.data.stored.decode import read_image
from tutelage.errors import TutelageError
from tutelage.paths import check_out

KEPT = {"JPEG": "jpg", "PNG": "png", "BMP": "bmp", "GIF": "gif", "WEBP": "webp", "TIFF": "tiff", "PPM": "ppm"}
"""Formats, and their suffixes, whose files are copied unchanged if they are small enough."""
CHUNK = 32
"""Number of images that a worker process converts at a time."""


@dataclass(frozen=True)
class Shrinking:
    """Conversion of an image to a smaller JPEG."""

    size: int = 256
    """Shorter side in pixels. Files of smaller images are copied if their format is in ``KEPT``."""
    quality: int = 92
    """JPEG quality, from 1 to 100."""

    def __call__(self, encoded: Encoded, row: int) -> tuple[str, bytes]:
        """Return the suffix and bytes of the converted file.

        Raises:
            TutelageError: If the image cannot be read.
        """
        image = read_image(encoded, row)
        data = encoded.fetch(row)
        height, width = image.shape[1:]
        if min(height, width) <= self.size:
            with Image.open(io.BytesIO(data)) as opened:
                if opened.format in KEPT:
                    return KEPT[opened.format], data
        factor = min(1.0, self.size / min(height, width))
        image = resize(image, (round(height * factor), round(width * factor)))
        buffer = io.BytesIO()
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(buffer, "JPEG", quality=self.quality)
        return "jpg", buffer.getvalue()


@dataclass
class Written:
    """Summary of the written shards."""

    images: dict[str, int] = field(default_factory=dict)
    """Number of images per split."""
    shards: int = 0
    bytes: int = 0
    left_out: list[str] = field(default_factory=list)
    """Error message for each unreadable image."""


def write_shards(
    name: str,
    out: Path,
    shrinking: Shrinking,
    shard_bytes: int,
    workers: int = 0,
    seed: int = 0,
    skip_broken: bool = False,
    overwrite: bool = False,
) -> Written:
    """Write all splits of a data set to a folder: shards ``SPLIT-00000.tar`` …, class names and an index.

    Files are written under a temporary name and then renamed, so that an interrupted call leaves no files.

    Args:
        name: Name or path of the data set.
        out: Folder to write.
        shrinking: Conversion of the images.
        shard_bytes: Size at which a shard ends, after the image that reaches it.
        workers: Number of processes that convert images. The files do not depend on it.
        seed: Seed for shuffling the samples within their split.
        skip_broken: Whether to skip unreadable images.
        overwrite: Whether to replace shards in ``out``.

    Returns:
        Numbers of images, shards and bytes.

    Raises:
        TutelageError: If an image is unreadable and not skipped, ``out`` is in use, cannot be written or must not be
            replaced, or the data set is stored as pixels.
    """
    check_out(out, overwrite, "a folder of shards", (out / INDEX).is_file())
    source = read_source(DataSettings(name=name))
    splits = _encoded(source)
    images = sum(len(encoded) for encoded in splits.values())
    out.parent.mkdir(parents=True, exist_ok=True)
    partial = out.with_name(f".{out.name}-{os.getpid()}")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    written = Written()
    try:
        with phase("packing", images) as advance:
            for split, encoded in splits.items():
                made = _shrunk(encoded, shrinking, workers, seed)
                readable = _readable(made, skip_broken, written.left_out, advance)
                written.images[split] = _write_split(partial, split, readable, shard_bytes)
        shards = sorted(partial.glob("*.tar"))
        written.shards, written.bytes = len(shards), sum(path.stat().st_size for path in shards)
        scan(partial, shards).save(partial / INDEX)
        (partial / "classes.json").write_text(json.dumps(source.classes, ensure_ascii=False), encoding="utf-8")
        if out.exists():
            shutil.rmtree(out)
        partial.rename(out)
    except OSError as error:
        raise TutelageError(
            f"out={out} cannot be written ({error}), and no partial files are left; set out to a writable folder"
        ) from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return written


def _encoded(source: Source) -> dict[str, Encoded]:
    splits = {split: encoded for split, encoded in source.splits.items() if isinstance(encoded, Encoded)}
    if len(splits) < len(source.splits):
        raise TutelageError(f"data={source.name} is stored as decoded pixels and cannot be packed; use it directly")
    return splits


class _Made(NamedTuple):
    row: int
    label: int
    suffix: str
    content: bytes
    fault: str | None = None


class _Shrinker(Dataset[list[_Made]]):
    """Images as a worker converts them. Errors are returned, because DataLoader rewrites exceptions of workers."""

    def __init__(self, encoded: Encoded, shrinking: Shrinking) -> None:
        self._encoded, self._shrinking = encoded, shrinking

    def __getitems__(self, rows: list[int]) -> list[_Made]:
        return [self._make(row) for row in rows]

    def _make(self, row: int) -> _Made:
        label = int(self._encoded.labels[row])
        try:
            return _Made(row, label, *self._shrinking(self._encoded, row))
        except TutelageError as error:
            return _Made(row, label, "", b"", str(error))


def _shrunk(encoded: Encoded, shrinking: Shrinking, workers: int, seed: int) -> Iterator[_Made]:
    """Yield all converted images of a split, shuffled by ``seed``."""
    order = np.argsort(bits(seed, 0, torch.arange(len(encoded)), Stream.ORDER).numpy()).tolist()
    chunks = [order[start : start + CHUNK] for start in range(0, len(order), CHUNK)]
    # One chunk per batch: DataLoader's prefetching then limits the number of images in memory.
    loader: DataLoader[Any] = DataLoader(
        _Shrinker(encoded, shrinking), batch_sampler=chunks, num_workers=workers, collate_fn=_as_is
    )
    for chunk in loader:
        yield from chunk


def _as_is(made: Any) -> Any:
    return made


def _readable(made: Iterable[_Made], skip_broken: bool, left_out: list[str], advance: Advance) -> Iterator[_Made]:
    """Yield the readable images; collect the errors of the others, or raise the first one."""
    for image in made:
        advance(1)
        if image.fault is None:
            yield image
        elif skip_broken:
            left_out.append(image.fault)
        else:
            raise TutelageError(image.fault)


def _write_split(folder: Path, split: str, made: Iterator[_Made], shard_bytes: int) -> int:
    """Write the shards of a split, and return the number of images in them."""
    images = 0
    for shard in itertools.count():
        first = next(made, None)
        if first is None:
            break
        with tarfile.open(folder / f"{split}-{shard:05d}.tar", "w") as tar:
            for image in itertools.chain([first], made):
                _add(tar, f"{image.row:09d}.{image.suffix}", image.content)
                _add(tar, f"{image.row:09d}.cls", str(image.label).encode())
                images += 1
                if tar.offset >= shard_bytes:
                    break
    if not images:
        raise TutelageError(f"all images of {split} are unreadable; check the files")
    return images


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    tar.addfile(member, io.BytesIO(content))
