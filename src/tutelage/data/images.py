"""Opened data sets: classes, splits, statistics and augmentation."""

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
    """Opened data set: classes, splits, pixel statistics, and the augmentation of its training images."""

    name: str
    classes: tuple[str, ...]
    size: tuple[int, int]
    """Size (H, W) of the images in batches."""
    train: Split
    validation: Split | None
    test: Split | None
    mean: tuple[float, ...]
    """Mean per channel of pixels in [0, 1]."""
    std: tuple[float, ...]
    """Standard deviation per channel of pixels in [0, 1]."""
    fingerprint: str
    """Hash of the files' names, sizes and modification times (or of the embedded data) and of all settings that
    determine what a loader yields for an index and epoch. ``views`` and ``mixing``, which are applied later on the
    device, are not included."""
    views: Views
    """Policy for random views of training images, which are computed per batch on the device."""
    mixing: Mixing | None
    """Policy for mixing training images; None for no mixing."""
    crop: float = 1.0
    """Fraction of the resized image's shorter side that evaluation keeps."""
    resize: Resize = "crop"
    """How images of another shape are fitted to ``size``."""
    held_out: list[int] | list[str] = field(default_factory=list)
    """Files held out of the training set for validation, or row numbers if the images are not files."""

    @property
    def random(self) -> bool:
        """Whether the view of a training image changes from epoch to epoch."""
        samples = self.train.samples
        return self.views.random or (isinstance(samples, DecodedSamples) and samples.policy.scale is not None)

    @property
    def identity(self) -> dict[str, str]:
        """Everything that determines the view of an index at an epoch, before mixing."""
        return {"data": self.fingerprint, "views": repr(self.views)}

    @property
    def headline(self) -> tuple[str, Split]:
        """Name and samples of the split for final results: test, otherwise validation, otherwise all images."""
        splits = {"test": self.test, "validation": self.validation, "all": self.train}
        return next((name, split) for name, split in splits.items() if split is not None)

    def with_classes(self, classes: tuple[str, ...]) -> ImageData:
        """Return the data with other class names, whose number may differ. Labels do not change."""
        mixing = replace(self.mixing, classes=len(classes)) if self.mixing is not None else None
        return replace(self, classes=classes, mixing=mixing)

    def with_labels(self, places: Sequence[int], classes: tuple[str, ...]) -> ImageData:
        """Return the same images with other ``classes``, in which class i has the number ``places[i]``."""
        numbers = np.array([*places, -1], dtype=np.int64)  # the last entry maps −1 to itself
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
        """Reasons for the images skipped so far (``data.skip_broken``)."""
        splits = (self.train, self.validation, self.test)
        found = {id(split.samples): split.samples.broken for split in splits if split is not None}
        return [fault for faults in found.values() for fault in faults.values()]
