"""Find held-out images that are also training images."""

from __future__ import annotations

import filecmp
from collections.abc import Mapping, Sequence
from pathlib import Path


def describe_duplicates(splits: Mapping[str, Sequence[Path]]) -> list[str]:
    """Return a message for each held-out split with images that are copies of, or links to, training images.

    Only files with equal names are compared: copies usually keep their names, and reading all files would take too
    long.
    """
    notes = []
    for split in splits.keys() - {"train"}:
        found = _duplicates(splits["train"], splits[split])
        if found:
            trained, held_out = found[0]
            notes.append(
                f"{len(found):,} of {len(splits[split]):,} {split} images are also in train, so accuracy will be "
                f"overestimated; remove them from one of the two (the first: {held_out} is {trained})"
            )
    return notes


def _duplicates(train: Sequence[Path], held_out: Sequence[Path]) -> list[tuple[Path, Path]]:
    """Return the pairs (training file, held-out file) with equal names and contents."""
    named: dict[str, list[Path]] = {path.name: [] for path in held_out}
    for path in train:
        if path.name in named:
            named[path.name].append(path)
    pairs = ((next((other for other in named[path.name] if _same(path, other)), None), path) for path in held_out)
    return [(other, path) for other, path in pairs if other is not None]


def _same(one: Path, other: Path) -> bool:
    try:
        return filecmp.cmp(one, other, shallow=False)  # sizes first, then contents up to the first difference
    except OSError:  # a broken link, which is reported when it is read
        return False
