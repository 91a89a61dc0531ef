"""Image folders: a folder a class, under ``train``, ``val`` and ``test``, or bare."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from tutelage.data.source import Encoded, Source
from tutelage.errors import TutelageError

SPLITS = {"train": "train", "val": "validation", "valid": "validation", "validation": "validation", "test": "test"}
SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm"}


def read_folder(root: Path) -> Source:
    """Reads an image folder; classes are the names of the folders, in order.

    Raises :class:`TutelageError` where there are no class folders, one of them has no image, or a split has a class that
    the training set has not.
    """
    folders = {SPLITS[path.name]: path for path in sorted(root.iterdir()) if path.is_dir() and path.name in SPLITS}
    if "train" not in folders:
        folders = {"train": root}
    classes = _classes(folders["train"])
    files = {split: _files(folder, classes) for split, folder in folders.items()}
    return Source(
        name=root.resolve().name,
        classes=classes,
        splits={split: _encoded(found, classes) for split, found in files.items()},
        fingerprint=fingerprint(path for found in files.values() for path, _ in found),
    )


def fingerprint(paths: Iterable[Path]) -> str:
    """Returns a hash over the names, sizes and times of files."""
    digest = hashlib.sha256()
    for path in paths:
        status = path.stat()
        digest.update(f"{path.resolve()}\0{status.st_size}\0{status.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def _classes(folder: Path) -> tuple[str, ...]:
    classes = tuple(sorted(path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")))
    if not classes:
        raise TutelageError(
            f"data={folder} has no class folders: images belong in {folder}/CLASS/IMAGE.jpg, or in "
            f"{folder}/train/CLASS/IMAGE.jpg with {folder}/val or {folder}/test beside it"
        )
    return classes


def _files(folder: Path, classes: tuple[str, ...]) -> list[tuple[Path, str]]:
    unknown = sorted(set(_classes(folder)) - set(classes))
    if unknown:
        raise TutelageError(f"{folder / unknown[0]}: the training set has no class '{unknown[0]}'")
    found = []
    for name in classes:
        inside = folder / name
        images = sorted(path for path in inside.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
        if not images and inside.exists():
            raise TutelageError(f"class folder {inside} has no images: add some, or remove the folder")
        found += [(path, name) for path in images]
    return found


def _encoded(files: list[tuple[Path, str]], classes: tuple[str, ...]) -> Encoded:
    places = {name: place for place, name in enumerate(classes)}
    labels = np.array([places[name] for _, name in files], dtype=np.int64)
    return Encoded(_reader([str(path) for path, _ in files]), labels)


def _reader(paths: list[str]) -> Callable[[int], tuple[bytes, str]]:
    return lambda row: (Path(paths[row]).read_bytes(), paths[row])
