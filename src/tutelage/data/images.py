"""A data set as training sees it: classes, splits, statistics, and how images are augmented."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, field, replace

import numpy as np

from tutelage.data.loader import Split
from tutelage.data.stored.samples import DecodedSamples, Samples
from tutelage.data.views.mixing import Mixing
from tutelage.data.views.random_views import Views
from tutelage.models import Resize


@dataclass(frozen=True, eq=False)
class ImageData:
    """An opened data set: classes, splits, pixel statistics, and the augmentation of its training images."""

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
    yields for an index at an epoch; ``views`` and ``mixing``, which change it on the device, are not part of it."""
    views: Views
    """The random views of training images, made batch by batch on the device."""
    mixing: Mixing | None
    """How training images are mixed; None if they are not."""
    crop: float = 1.0
    """Part of the resized image's shorter side that evaluation keeps."""
    resize: Resize = "crop"
    """How images of another shape are fitted."""
    held_out: list[int] | list[str] = field(default_factory=list)
    """Files held out of the training set for validation, or row numbers if the images are not files."""

    @property
    def random(self) -> bool:
        """Whether the view of a training image changes from epoch to epoch."""
        samples = self.train.samples
        return self.views.random or (isinstance(samples, DecodedSamples) and samples.policy.scale is not None)

    @property
    def identity(self) -> dict[str, str]:
        """Everything that the view of an index at an epoch depends on, before images are mixed."""
        return {"data": self.fingerprint, "views": repr(self.views)}

    @property
    def headline(self) -> tuple[str, Split]:
        """Name and images of the split that results are measured on: test, or validation if there is no test split."""
        if self.test is not None:
            return "test", self.test
        assert self.validation is not None
        return "validation", self.validation

    def with_classes(self, classes: tuple[str, ...]) -> ImageData:
        """Return the data with other names, and perhaps another number, of classes; labels stay."""
        mixing = replace(self.mixing, classes=len(classes)) if self.mixing is not None else None
        return replace(self, classes=classes, mixing=mixing)

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
        return replace(self.with_classes(classes), train=train, validation=validation, test=test)

    @property
    def broken(self) -> list[str]:
        """Why each image was left out so far (``data.skip_broken``)."""
        splits = (self.train, self.validation, self.test)
        found = {id(split.samples): split.samples.broken for split in splits if split is not None}
        return [fault for faults in found.values() for fault in faults.values()]
