"""A data set as training sees it: classes, splits, statistics."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from tutelage.data.order import Windows
from tutelage.data.source import Rows
from tutelage.data.stored.samples import Samples
from tutelage.models import Resize


@dataclass(frozen=True, eq=False)
class Split:
    """Some rows of some samples."""

    samples: Samples
    rows: Rows
    """Places in the samples, sorted: what a batch's ``index`` holds."""
    windows: Windows | None = None
    """What bounds the shuffling of streamed data; None: nothing."""
    balanced: bool = False
    """Whether training shows its classes equally often."""

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def labels(self) -> Tensor:
        """(N,) int64, −1 where unlabelled."""
        return torch.from_numpy(self.samples.labels[self.rows])


@dataclass(frozen=True, eq=False)
class ImageData:
    """Named classes, splits, and what is known of the pixels."""

    name: str
    classes: tuple[str, ...]
    size: tuple[int, int]
    """(H, W) of every batch."""
    train: Split
    validation: Split | None
    test: Split | None
    mean: tuple[float, ...]
    """Of each channel, for pixels in [0, 1]."""
    std: tuple[float, ...]
    fingerprint: str
    """Hash of the files' names, sizes and times (or of the embedded data) and of all settings that decide what a loader
    yields for an index at an epoch; the policy of the views on the device is apart."""
    padding: int
    """Default of the views' random crop; 0 where images are cropped as they are decoded."""
    flip: bool
    """Default of the views' mirroring."""
    crop: float = 1.0
    """Part of the resized image's shorter side that evaluation keeps."""
    resize: Resize = "crop"
    """How images of another shape are fitted."""
    held_out: list[int] | list[str] = field(default_factory=list)
    """What was carved out of the training set for validation: files, or rows where there are none."""

    @property
    def headline(self) -> tuple[str, Split]:
        """Name and images of the split that results are of: test, or validation where there is no test."""
        if self.test is not None:
            return "test", self.test
        assert self.validation is not None
        return "validation", self.validation

    def with_labels(self, places: Sequence[int], classes: tuple[str, ...]) -> ImageData:
        """Return the data with class i as number ``places[i]`` of other ``classes``; the same images."""
        numbers = np.array([*places, -1], dtype=np.int64)  # the last is that of −1
        renumbered: dict[int, Samples] = {}

        def relabel(split: Split | None) -> Split | None:
            if split is None:
                return None
            if id(split.samples) not in renumbered:
                samples = copy(split.samples)
                samples.labels = numbers[samples.labels]  # type: ignore[misc]
                renumbered[id(split.samples)] = samples
            return replace(split, samples=renumbered[id(split.samples)])

        train, validation, test = map(relabel, (self.train, self.validation, self.test))
        assert train is not None
        return replace(self, classes=classes, train=train, validation=validation, test=test)

    @property
    def broken(self) -> list[str]:
        """What is wrong with each image left out so far, where ``data.skip_broken`` is set."""
        splits = (self.train, self.validation, self.test)
        found = {id(split.samples): split.samples.broken for split in splits if split is not None}
        return [fault for faults in found.values() for fault in faults.values()]
