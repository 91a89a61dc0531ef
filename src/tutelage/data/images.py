"""A data set as training sees it: classes, splits, statistics."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from tutelage.data.samples import Rows, Samples


@dataclass(frozen=True)
class Split:
    """Some rows of some samples."""

    samples: Samples
    rows: Rows

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def labels(self) -> Rows:
        return self.samples.labels[self.rows]

    @property
    def cropped_when_decoded(self) -> bool:
        return self.samples.cropped_when_decoded


@dataclass(frozen=True)
class ImageData:
    """Named classes, splits, and what is known of the pixels."""

    name: str
    classes: tuple[str, ...]
    size: tuple[int, int]
    train: Split
    validation: Split | None
    test: Split | None
    mean: tuple[float, ...]
    std: tuple[float, ...]
    fingerprint: str
    """Hash of what the images are: names, sizes and times of the files, or of the embedded data."""
    padding: int
    flip: bool
    held_out: list[int] = field(default_factory=list)
    """Rows of the training set that were carved out for validation; none where the data have a validation split."""


def carve(labels: Rows, share: float, seed: int) -> tuple[Rows, Rows]:
    """Returns (kept, taken) rows, sorted: ``share`` of each class is taken at random, at least one of two or more."""
    draw = np.random.default_rng(seed)
    taken = []
    for label in np.unique(labels):
        rows = draw.permutation(np.flatnonzero(labels == label))
        count = round(share * len(rows))
        taken.append(rows[: max(count, 1) if share > 0 and len(rows) > 1 else count])
    chosen = np.sort(np.concatenate(taken)).astype(np.int64)
    return np.setdiff1d(np.arange(len(labels), dtype=np.int64), chosen), chosen
