"""Image folders: a folder a class, under ``train``, ``val`` and ``test``, or bare."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from tutelage.data.source import Encoded, Source, fingerprint_files
from tutelage.errors import TutelageError

SPLITS = {
    "train": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "dev": "validation",
    "test": "test",
}
SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm")


class FileImages(Encoded):
    """Images in files."""

    def __init__(self, files: list[Path], labels: list[int]) -> None:
        # One array of characters: worker processes share its memory, which they would copy for a list of strings.
        self._files = np.array([str(path) for path in files], dtype=np.str_)
        self.labels = np.array(labels, dtype=np.int64)

    def fetch(self, row: int) -> bytes:
        return Path(self._files[row]).read_bytes()

    def place(self, row: int) -> str:
        return str(self._files[row])


def read_folder(root: Path) -> Source:
    """Reads an image folder; the classes are the names of the class folders, sorted.

    Images may lie at any depth below their class folder. Raises :class:`TutelageError` where there are no class
    folders, one of them has no image, or a split has a class that the training set has not.
    """
    folders = _splits(root)
    classes = _classes(folders["train"])
    files = {split: _files(folder, classes) for split, folder in folders.items()}
    every = [path for found in files.values() for path, _ in found]
    return Source(
        name=root.resolve().name,
        classes=classes,
        splits={
            split: FileImages([path for path, _ in found], [label for _, label in found])
            for split, found in files.items()
        },
        fingerprint=fingerprint_files(root, every),
    )


def _splits(root: Path) -> dict[str, Path]:
    folders: dict[str, Path] = {}
    for path in sorted(root.iterdir()):
        split = SPLITS.get(path.name) if path.is_dir() else None
        if split in folders:
            raise TutelageError(f"data={root} has two {split} splits: {folders[split].name} and {path.name}; keep one")
        if split is not None:
            folders[split] = path
    if folders and "train" not in folders:
        found = ", ".join(path.name for path in folders.values())
        raise TutelageError(f"data={root} has {found} but no train: name the folder of training images train")
    return folders or {"train": root}


def _classes(folder: Path) -> tuple[str, ...]:
    classes = tuple(sorted(path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")))
    if not classes:
        raise TutelageError(
            f"data={folder} has no class folders: images belong in {folder}/CLASS/IMAGE.jpg, or in "
            f"{folder}/train/CLASS/IMAGE.jpg with {folder}/val or {folder}/test beside it; parquet files are called "
            f"train-*.parquet"
        )
    return classes


def _files(folder: Path, classes: tuple[str, ...]) -> list[tuple[Path, int]]:
    present = _classes(folder)
    unknown = sorted(set(present) - set(classes))
    if unknown:
        raise TutelageError(
            f"{folder} has classes that the training set has not: {', '.join(unknown)}; rename or remove them, or add "
            f"them to train"
        )
    found = []
    for name in present:
        images = _images(folder / name)
        if not images:
            raise TutelageError(
                f"class folder {folder / name} has no images ({', '.join(SUFFIXES)}): add some, or remove the folder"
            )
        found += [(path, classes.index(name)) for path in images]
    return found


def _images(folder: Path) -> list[Path]:
    found = []
    for inside, _, names in os.walk(folder, followlinks=True):
        visible = (name for name in names if not name.startswith(".") and name.lower().endswith(SUFFIXES))
        found += [Path(inside, name) for name in visible]
    return sorted(found)
