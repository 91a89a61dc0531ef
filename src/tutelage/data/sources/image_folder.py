"""Image folders: one folder per class, or images without labels; with folders for splits, or a training set only."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from tutelage.console import Advance, phase
from tutelage.data.source import Source, shown
from tutelage.data.sources.image_files import read_splits
from tutelage.data.split_names import find_splits, parse_split
from tutelage.data.visible_files import (
    SUFFIXES,
    TABLES,
    count_images,
    describe_skipped,
    has_images,
    is_image,
    is_visible,
    list_images,
    subfolders,
    walk,
)
from tutelage.errors import TutelageError

_SHOWN = 5
_OTHER_TABLES = (".jsonl", ".xlsx", ".xls", ".ods")
"""Suffixes of tables that may hold labels, but cannot be read."""


@dataclass(frozen=True)
class SplitFolders:
    """Folders of the splits of a data set."""

    root: Path
    """The folder of the data set, or the only folder in it."""
    splits: dict[str, Path]
    notes: tuple[str, ...]
    """Warnings about how the folder was read."""


def read_folder(root: Path) -> Source:
    """Read an image folder. The classes are the sorted names of the class folders.

    * Images can be at any depth below their class folder. Hidden and system folders are skipped.
    * If the folder only contains another folder that holds everything, that one is read.
    * A split without class folders has no labels. If this is the training set, the classes are those of the other
      splits.

    Raises:
        TutelageError: If there are neither class folders nor images, a class folder is empty, links lead to one folder
            twice, the classes are ambiguous, or a split has classes that the training set lacks.
    """
    return read_split_folders(find_split_folders(root))


def read_split_folders(layout: SplitFolders) -> Source:
    """Read an image folder whose splits are known; see ``read_folder``."""
    root, folders = layout.root, layout.splits
    classes = next((found for folder in (folders["train"], *folders.values()) if (found := _classes(folder))), ())
    skipped: dict[str, Counter[str]] = {}
    with phase(f"listing {root}", len(classes) * len(folders) or None) as advance:
        files = {split: _files(folder, classes, skipped, advance) for split, folder in folders.items()}
    images, fingerprint = read_splits(root, files)
    skips = describe_skipped(skipped)
    notes = [*layout.notes, *_unread_tables(layout), *_loose_images(layout), *([skips] if skips else [])]
    return Source(
        name=root.resolve().name,
        classes=classes,
        splits=dict(images),
        fingerprint=fingerprint,
        notes=tuple(notes),
    )


def find_split_folders(root: Path) -> SplitFolders:
    """Return the folders in ``root`` that are named like splits. Without such folders, ``root`` itself is ``train``.

    Raises:
        TutelageError: If it is ambiguous which folders are splits or classes.
    """
    notes = []
    entered = _enter(root)
    if entered != root:
        notes.append(f"read {entered}, the only folder in {root}")
    folders = subfolders(entered)
    splits = find_splits(folders, entered)
    others = [folder for folder in folders if folder not in splits.values() and _holds_images(folder)]
    if splits and others:
        names = ", ".join(folder.name for folder in others[:_SHOWN]) + (", …" if len(others) > _SHOWN else "")
        if not any(_holds_images(folder) for folder in subfolders(splits["train"])):
            found = " and ".join(folder.name for folder in splits.values())
            raise TutelageError(
                f"data={entered}: {found} may be a split or a class, next to {names}. If it is a class, move all class "
                f"folders into {entered / 'train'}; if it is a split, move the other folders out"
            )
        notes.append(f"ignored {names} in {entered}, which are not named train, val or test")
    if not splits:
        _check_not_splits(entered, folders)
        return SplitFolders(entered, {"train": entered}, tuple(notes))
    inner = {"train": _enter(splits["train"], "train")}
    classes = frozenset(folder.name for folder in subfolders(inner["train"]))
    for split, folder in splits.items():
        inner.setdefault(split, _enter(folder, split, classes))
        if inner[split] != folder:
            notes.append(f"read {inner[split]}, the only folder in {folder}")
    for folder in inner.values():
        _check_holds_no_splits(folder, f"set data={folder}, or move them out of it")
    return SplitFolders(entered, {split: inner[split] for split in splits}, tuple(notes))


def _check_holds_no_splits(folder: Path, remedy: str) -> None:
    """Raise TutelageError if a split or class contains splits, which would be read as classes or mixed."""
    found = {path.name: parsed for path in subfolders(folder) if (parsed := parse_split(path.name)) and not parsed[1]}
    if len({split for split, _ in found.values()}) > 1:
        raise TutelageError(f"{folder} holds {' and '.join(found)}, which are splits, not classes; {remedy}")


def _enter(folder: Path, split: str | None = None, classes: frozenset[str] = frozenset()) -> Path:
    """Return the folder with the content of ``folder``: itself, or the only folder in it if that holds everything.

    Within a ``split``, this is a folder with the name of the split (``seg_train/seg_train``) or one that contains
    folders of images.
    """
    while True:
        inside = subfolders(folder)
        if len(inside) != 1 or has_images(folder):
            return folder
        only = inside[0]
        named = parse_split(only.name)
        if only.name in classes or (split is None and find_splits(inside, folder)):
            return folder
        if not (split is not None and named is not None and named[0] == split) and not _wraps(only):
            return folder
        folder = only


def _wraps(folder: Path) -> bool:
    """Return whether a folder contains several folders of images and no images; a class may contain one folder."""
    inside = subfolders(folder)
    several = len(inside) > 1 or (len(inside) == 1 and bool(subfolders(inside[0])))
    return several and not has_images(folder) and any(_holds_images(deeper) for deeper in inside)


def _holds_images(folder: Path) -> bool:
    return any(is_image(name) for _, names in walk(folder) for name in names)


def _unread_tables(layout: SplitFolders) -> list[str]:
    """Return warnings about tables next to the images, whose labels are not used."""
    places = dict.fromkeys((layout.root, *layout.splits.values()))
    beside = [path for place in places for path in sorted(place.iterdir()) if is_visible(path.name)]
    tables = [path for path in beside if path.suffix.lower() in TABLES]
    others = [path for path in beside if path.suffix.lower() in _OTHER_TABLES]
    tables.sort(key=lambda path: (parse_split(path.stem) or ("",))[0] != "train")
    notes = [f"ignored {_names(tables, layout)}; to read labels from a table, set data={tables[0]}"] if tables else []
    if others:
        notes.append(f"ignored {_names(others, layout)}; to read labels from a table, save it as CSV")
    return notes


def _names(paths: list[Path], layout: SplitFolders) -> str:
    return ", ".join(str(path.relative_to(layout.root)) for path in paths)


def _loose_images(layout: SplitFolders) -> list[str]:
    """Return warnings about images next to class folders or splits, which are not read because they have no label."""
    places = dict.fromkeys((layout.root, *layout.splits.values()))
    counts = {place: count_images(place) for place in places if subfolders(place)}
    return [
        f"ignored {count:,} images directly in {place}; move them into the folders there, or remove them"
        for place, count in counts.items()
        if count
    ]


def _check_not_splits(root: Path, folders: list[Path]) -> None:
    """Raise TutelageError if all folders contain equally named folders, which then may be the classes instead."""
    if len(folders) < 2 or has_images(root):
        return
    common = {path.name for path in subfolders(folders[0])}
    for folder in folders[1:]:
        if not common:  # usually true after the first folder, so that the others need not be listed
            return
        common &= {path.name for path in subfolders(folder)}
    if len(common) == 1 and not any(has_images(path) for path in folders):
        _check_not_splits(root, [path / next(iter(common)) for path in folders])
    if len(common) > 1 and not any(has_images(path) for path in folders):
        names, classes = (
            ", ".join(str(path.relative_to(root)) for path in folders[:_SHOWN]),
            ", ".join(sorted(common)[:_SHOWN]),
        )
        raise TutelageError(
            f"data={root}: it is unclear which folders are the classes, because {names} all contain {classes}. If "
            f"{classes} are, rename {names} to train, val and test, or set data={folders[0]}; if {names} are, move "
            f"their images out of the inner folders"
        )


def _classes(folder: Path) -> tuple[str, ...]:
    """Return the names of the class folders, or none if the folder directly contains unlabeled images."""
    classes = tuple(path.name for path in subfolders(folder))
    if not classes and not list_images(folder).images:
        raise TutelageError(
            f"data={folder} has no class folders; put images in {folder}/CLASS/IMAGE.jpg, or in "
            f"{folder}/train/CLASS/IMAGE.jpg next to {folder}/val or {folder}/test, and images without labels in "
            f"{folder} itself. Name parquet files train-*.parquet; to read labels from a CSV file, set data=FILE.csv"
        )
    return classes


def _check_not_nested(folder: Path, classes: tuple[str, ...]) -> None:
    """Raise TutelageError if a class folder contains a folder named like another class."""
    again = [path for path in subfolders(folder) if path.name in classes and path.name != folder.name]
    if again:
        raise TutelageError(
            f"{again[0]} lies in the class folder '{folder.name}', and '{again[0].name}' is also a class; move its "
            f"images to {folder.parent / again[0].name}, remove it if it is a copy, or rename it"
        )


def _files(
    folder: Path, classes: tuple[str, ...], skipped: dict[str, Counter[str]], advance: Advance
) -> list[tuple[Path, int]]:
    present = _classes(folder)
    if not present:
        return [(path, -1) for path in list_images(folder).images]
    numbers = {shown(name): number for number, name in enumerate(classes)}
    unknown = [f"'{name}'" for name in present if shown(name) not in numbers]
    if unknown:
        raise TutelageError(
            f"{folder} has classes that the training set does not have: {', '.join(unknown)}; rename or remove them, "
            f"or add them to train"
        )
    found = []
    walked: dict[str, str] = {}
    for name in present:
        listing = list_images(folder / name, walked)
        if not listing.images:
            raise TutelageError(
                f"class folder {folder / name} has no images ({', '.join(SUFFIXES)}); add some, or remove the folder"
            )
        _check_not_nested(folder / name, present)
        _check_holds_no_splits(folder / name, "put the classes into the splits, as in train/CLASS/IMAGE.jpg")
        found += [(path, numbers[shown(name)]) for path in listing.images]
        skipped.setdefault(name, Counter()).update(listing.skipped)
        advance(1)
    return found
