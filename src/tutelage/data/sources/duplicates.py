"""Held-out images that are training images too."""

from __future__ import annotations

import filecmp
from collections.abc import Mapping, Sequence
from pathlib import Path


def describe_duplicates(splits: Mapping[str, Sequence[Path]]) -> list[str]:
    """Return one sentence for each held-out split some of whose images are in ``train``: copies or links.

    Files of one name are compared, because copies usually keep theirs and reading every file would take too long.
    """
    notes = []
    for split in splits.keys() - {"train"}:
        found = _duplicates(splits["train"], splits[split])
        if found:
            trained, held_out = found[0]
            notes.append(
                f"{len(found):,} of {len(splits[split]):,} {split} images are in train as well, which makes the "
                f"results of models trained on it too good: remove them from one of the two (the first: {held_out} is "
                f"{trained})"
            )
    return notes


def _duplicates(train: Sequence[Path], held_out: Sequence[Path]) -> list[tuple[Path, Path]]:
    """Return, for each held-out file that is a training file too, both paths."""
    named: dict[str, list[Path]] = {path.name: [] for path in held_out}
    for path in train:
        if path.name in named:
            named[path.name].append(path)
    pairs = ((next((other for other in named[path.name] if _same(path, other)), None), path) for path in held_out)
    return [(other, path) for other, path in pairs if other is not None]


def _same(one: Path, other: Path) -> bool:
    try:
        return filecmp.cmp(one, other, shallow=False)  # sizes first, then contents up to the first difference
    except OSError:  # a link that leads nowhere, which is reported when it is read
        return False
