"""Recognize usual names of splits: ``train``, ``Training``, ``seg_train``, ``training_set``, ``valid`` …"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from tutelage.errors import TutelageError

_WORDS = {
    **dict.fromkeys(("train", "training", "trn"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "validate", "dev", "eval", "evaluation"), "validation"),
    **dict.fromkeys(("test", "testing", "tst"), "test"),
}
_FILLERS = ("set", "sets", "data", "dataset", "split", "folder", "images", "image", "imgs", "img")
"""Words without meaning that may be next to the name of a split, or joined to it."""
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")


def split_of_word(word: str) -> str | None:
    """Return the split that a single word of any case names (``Testing``, ``trainset``), or None.

    Example:
        >>> split_of_word("VALID"), split_of_word("trainset"), split_of_word("tested")
        ('validation', 'train', None)
    """
    word = word.casefold()
    bare = next((word.removesuffix(filler) for filler in _FILLERS if word.removesuffix(filler) in _WORDS), word)
    return _WORDS.get(bare)


def parse_split(name: str) -> tuple[str, tuple[str, ...]] | None:
    """Return the split in a name and the name's other words, or None unless it contains exactly one split.

    Example:
        >>> parse_split("training_set"), parse_split("seg_train"), parse_split("train_or_test")
        (('train', ()), ('train', ('seg',)), None)
    """
    words = _WORD.findall(name)
    splits = [split for word in words if (split := split_of_word(word)) is not None]
    if len(splits) != 1:
        return None
    others = tuple(word.casefold() for word in words if split_of_word(word) is None)
    return splits[0], tuple(word for word in others if word not in _FILLERS)


def find_splits(folders: Iterable[Path], place: Path) -> dict[str, Path]:
    """Return the folders that are splits, by split; empty if there are none.

    Names may have a common part, as in ``seg_train`` and ``seg_test``.

    Raises:
        TutelageError: If two folders are the same split, or there are splits but no training set.
    """
    groups: dict[tuple[str, ...], dict[str, list[Path]]] = {}
    for folder in folders:
        parsed = parse_split(folder.name)
        if parsed is not None:
            groups.setdefault(parsed[1], {}).setdefault(parsed[0], []).append(folder)
    # A name with other words only counts if several folders share them; a single one may be a class (test_tube).
    found = {
        common: splits for common, splits in groups.items() if not common or (len(splits) > 1 and "train" in splits)
    }
    if not found:
        return {}
    if () not in found and len(found) > 1:
        names = ", ".join(path.name for splits in found.values() for paths in splits.values() for path in paths)
        raise TutelageError(f"data={place} has several sets of splits ({names}); move all but one out of it")
    splits = found[() if () in found else next(iter(found))]
    for split, paths in splits.items():
        if len(paths) > 1:
            names = " and ".join(path.name for path in paths)
            raise TutelageError(f"data={place} has two {split} splits: {names}; keep one")
    if "train" not in splits:
        names = ", ".join(paths[0].name for paths in splits.values())
        raise TutelageError(f"data={place} has {names} but no train; rename the folder of training images to train")
    return {split: paths[0] for split, paths in splits.items()}
