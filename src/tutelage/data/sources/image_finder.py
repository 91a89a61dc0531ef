"""Find the images that a table lists by path, by name, or by name without suffix."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path

from tutelage.data.split_names import parse_split
from tutelage.data.visible_files import list_images


class ImageFinder:
    """Search for images below a folder by the names that tables use."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._by_name: dict[str, list[Path]] | None = None

    def find(self, name: str, split: str | None = None) -> list[Path]:
        """Return the images that ``name`` may refer to: none, one or several.

        With a ``split``, names without a folder do not match images of another split, because each split often numbers
        its images from the start. Images in the folder ``train`` match for every split.
        """
        for text in dict.fromkeys((name, name.replace("\\", "/"))):
            path = self._root / text
            if text and os.path.isfile(path):  # unlike Path.is_file, no error for a cell that is too long for a path
                return [path]
        found = self._search(name.replace("\\", "/"))
        if split is None:
            return found
        folders = [split_of_path(path, self._root) for path in found]
        own = [path for path, folder in zip(found, folders) if folder == split]
        return own or [path for path, folder in zip(found, folders) if folder in (None, "train")]

    def _search(self, name: str) -> list[Path]:
        if self._by_name is None:
            self._by_name = {}
            for path in list_images(self._root).images:
                for key in {_composed(path.name), _composed(path.stem)}:
                    self._by_name.setdefault(key, []).append(path)
        parts = Path(_composed(name)).parts
        if not parts or Path(name).is_absolute():
            return []
        below = [part for part in parts[:-1] if part != "."]
        candidates = self._by_name.get(parts[-1], [])
        return [path for path in candidates if not below or _folders(path)[-len(below) :] == below]


def _composed(name: str) -> str:
    """Return a name in NFC: macOS stores accents as separate characters, unlike most tables."""
    return unicodedata.normalize("NFC", name)


def _folders(path: Path) -> list[str]:
    return [_composed(part) for part in path.parts[:-1]]


def split_of_path(path: Path, root: Path) -> str | None:
    """Return the split named by a folder between ``root`` and the image, or None."""
    below = path.relative_to(root).parts[:-1] if path.is_relative_to(root) else ()
    return next((parsed[0] for part in below if (parsed := parse_split(part)) is not None), None)
