"""List the files of a folder without hidden files and files of the operating system."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from PIL import features

from tutelage.errors import TutelageError

SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".jif", ".pjpeg", ".pjp", ".png", ".apng", ".bmp", ".dib", ".gif", ".webp"),
    *(".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".pnm"),
    *((".avif",) if features.check("avif") else ()),
)
"""Suffixes of image files, in lower case."""
TABLES = (".csv", ".tsv")
"""Suffixes of tables of labels."""
_SYSTEM = {
    *("__macosx", "__pycache__", "@eadir", "@recycle", "@tmp", "#recycle", "#snapshot", "lost+found", "$recycle.bin"),
    *("system volume information", "thumbs.db", "ehthumbs.db", "desktop.ini"),
}
"""Names of files and folders that operating systems, network storage and notebooks create, in lower case."""


def is_visible(name: str) -> bool:
    """Return whether a file or folder of this name is used; hidden and system files are not."""
    return not name.startswith(".") and name.lower() not in _SYSTEM


def is_image(name: str) -> bool:
    """Return whether the suffix of a name is that of an image."""
    return name.lower().endswith(SUFFIXES)


def subfolders(folder: Path) -> list[Path]:
    """Return the visible folders directly in ``folder``, sorted by name."""
    with _entries(folder) as entries:  # distinguishes folders from files without a system call for each
        return sorted(Path(entry.path) for entry in entries if is_visible(entry.name) and _is_folder(entry))


def has_images(folder: Path) -> bool:
    """Return whether there are images directly in ``folder``."""
    with _entries(folder) as entries:
        return any(map(_is_image_file, entries))


def count_images(folder: Path) -> int:
    """Return the number of images directly in ``folder``."""
    with _entries(folder) as entries:
        return sum(map(_is_image_file, entries))


@contextmanager
def _entries(folder: Path) -> Iterator[Iterator[os.DirEntry[str]]]:
    try:
        with os.scandir(folder) as entries:
            yield entries
    except PermissionError as error:
        _refuse(error)


def _is_image_file(entry: os.DirEntry[str]) -> bool:
    return is_visible(entry.name) and is_image(entry.name) and not _is_folder(entry)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    # For a link to itself, DirEntry raises an error, while Path returns False.
    return Path(entry.path).is_dir() if entry.is_symlink() else entry.is_dir()


def walk(folder: Path, walked: dict[str, str] | None = None, links: bool = True) -> Iterator[tuple[Path, list[str]]]:
    """Yield every visible folder at or below ``folder`` with the sorted names of its visible files.

    Args:
        folder: Where to start.
        walked: Folders that were walked before, by their real paths. New ones are added.
        links: Whether to follow links to folders.

    Raises:
        TutelageError: If a folder cannot be read, or a link leads to a folder that was walked before, whose files would
            count twice or without end.
    """
    walked = {} if walked is None else walked
    for inside, folders, names in os.walk(folder, followlinks=links, onerror=_refuse):
        real = os.path.realpath(inside)
        if real in walked:
            raise TutelageError(f"{inside} and {walked[real]} are the same folder; remove the link between them")
        walked[real] = inside
        folders[:] = sorted(name for name in folders if is_visible(name))
        yield Path(inside), sorted(name for name in names if is_visible(name))


def _refuse(error: OSError) -> None:
    raise TutelageError(
        f"{error.filename} cannot be read ({error.strerror}); change its permissions (chmod -R u+rX), or move it away"
    ) from None


@dataclass
class Listing:
    """Images of a folder, and counts of its other files."""

    images: list[Path] = field(default_factory=list)
    """Images at any depth, sorted."""
    skipped: Counter[str] = field(default_factory=Counter)
    """Number of other visible files by suffix, in lower case; empty for files without a suffix."""


def list_images(folder: Path, walked: dict[str, str] | None = None) -> Listing:
    """Return the images at any depth below ``folder``; see ``walk``."""
    listing = Listing()
    for inside, names in walk(folder, walked):
        for name in names:
            if is_image(name):
                listing.images.append(inside / name)
            else:
                listing.skipped[Path(name).suffix.lower()] += 1
    listing.images.sort()
    return listing


def describe_skipped(skipped: dict[str, Counter[str]], most: int = 5) -> str | None:
    """Return a message about skipped files per class, the largest numbers first, or None if there are none."""
    counts = {name: suffixes for name, suffixes in skipped.items() if suffixes}
    if not counts:
        return None
    ordered = sorted(counts, key=lambda name: -counts[name].total())
    parts = [f"{counts[name].total():,} of '{name}' ({_kinds(counts[name])})" for name in ordered[:most]]
    more = f", … ({len(ordered)} classes)" if len(ordered) > most else ""
    total = sum(suffixes.total() for suffixes in counts.values())
    return f"skipped {total:,} files without an image suffix: {', '.join(parts)}{more}"


def _kinds(suffixes: Counter[str], most: int = 3) -> str:
    kinds = [f"{count:,} {suffix or 'without suffix'}" for suffix, count in suffixes.most_common(most)]
    return ", ".join(kinds) + (", …" if len(suffixes) > most else "")
