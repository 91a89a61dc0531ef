"""Image folders: a folder a class, or images without labels, under ``train``, ``val`` and ``test``, or bare."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from tutelage.console import Advance, phase
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

    Images may lie at any depth below their class folder. A split whose images lie in no class folder has no labels; if
    it is the training set, the classes are those of the other splits, none where these have none either. Raises
    :class:`TutelageError` where there are neither class folders nor images, a class folder has no image, links lead to
    one folder twice, or a split has a class that the training set has not.
    """
    folders = _splits(root)
    classes = next((found for folder in (folders["train"], *folders.values()) if (found := _classes(folder))), ())
    with phase(f"listing {root}", len(classes) * len(folders) or None) as advance:
        files = {split: _files(folder, classes, advance) for split, folder in folders.items()}
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
    """The names of the class folders; none where images lie beside each other, without labels."""
    classes = tuple(sorted(path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")))
    if not classes and not list_images(folder):
        raise TutelageError(
            f"data={folder} has no class folders: images belong in {folder}/CLASS/IMAGE.jpg, or in "
            f"{folder}/train/CLASS/IMAGE.jpg with {folder}/val or {folder}/test beside it; images without labels lie "
            f"in {folder} itself; parquet files are called train-*.parquet"
        )
    return classes


def _files(folder: Path, classes: tuple[str, ...], advance: Advance) -> list[tuple[Path, int]]:
    present = _classes(folder)
    if not present:
        return [(path, -1) for path in list_images(folder)]
    unknown = sorted(set(present) - set(classes))
    if unknown:
        raise TutelageError(
            f"{folder} has classes that the training set has not: {', '.join(unknown)}; rename or remove them, or add "
            f"them to train"
        )
    found = []
    walked: dict[str, str] = {}
    for name in present:
        images = list_images(folder / name, walked)
        if not images:
            raise TutelageError(
                f"class folder {folder / name} has no images ({', '.join(SUFFIXES)}): add some, or remove the folder"
            )
        found += [(path, classes.index(name)) for path in images]
        advance(1)
    return found


def list_images(folder: Path, walked: dict[str, str] | None = None) -> list[Path]:
    """Returns the images at any depth below ``folder``, sorted; hidden ones are left out, and links are followed.

    ``walked`` gathers the folders seen, by their real paths. Raises :class:`TutelageError` where a link leads to one of
    them again: its images would count twice, or without end.
    """
    walked = {} if walked is None else walked
    found = []
    for inside, _, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(inside)
        if real in walked:
            raise TutelageError(f"{inside} and {walked[real]} are the same folder: remove the link between them")
        walked[real] = inside
        visible = (name for name in names if not name.startswith(".") and name.lower().endswith(SUFFIXES))
        found += [Path(inside, name) for name in visible]
    return sorted(found)
