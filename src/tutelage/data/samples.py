"""Labelled images: in one array, or encoded and decoded by worker processes when asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from tutelage.data.decode import centre_crop, decode, resized_crop
from tutelage.errors import TutelageError

Rows = npt.NDArray[np.int64]


@dataclass
class ArraySamples:
    """Images of one size in one array, (N, 3, H, W) uint8: a memory map, or memory."""

    images: npt.NDArray[np.uint8]
    labels: Rows
    cropped_when_decoded: bool = False

    def batches(self, rows: Iterable[Rows], epoch: int | None) -> Iterator[tuple[Tensor, Rows]]:
        """Yields the images of each group of rows."""
        for group in rows:
            yield torch.from_numpy(self.images[group]), group


@dataclass(eq=False)
class EncodedSamples(Dataset[tuple[Tensor | str | None, int]]):
    """Images as files or bytes, cropped and resized where they are decoded."""

    read: Callable[[int], tuple[bytes, str]]
    """Gives the bytes of a row, and what to call it in an error."""
    labels: Rows
    size: int
    scale: tuple[float, float]
    augment: bool
    view_seed: int
    workers: int
    skip_broken: bool
    cropped_when_decoded: bool = True
    _groups: list[list[tuple[int, int | None]]] = field(default_factory=list, init=False, repr=False)
    _loader: DataLoader[tuple[Tensor | str | None, int]] | None = field(default=None, init=False, repr=False)

    def batches(self, rows: Iterable[Rows], epoch: int | None) -> Iterator[tuple[Tensor, Rows]]:
        """Yields the views at ``epoch`` (None: the middle of each image) of each group of rows, and which were read."""
        if self._loader is None:
            # The list is read anew by every pass, so that the workers live as long as the samples do.
            self._loader = DataLoader(
                self,
                batch_sampler=self._groups,
                num_workers=self.workers,
                collate_fn=_stack,
                persistent_workers=self.workers > 0,
            )
        self._groups[:] = [[(int(row), epoch) for row in group] for group in rows]
        for images, kept in self._loader:
            if isinstance(images, str):
                raise TutelageError(images)
            if len(kept):
                yield images, kept

    def __getitem__(self, key: tuple[int, int | None]) -> tuple[Tensor | str | None, int]:
        row, epoch = key
        try:
            image = decode(*self.read(row))
        except TutelageError as error:
            # An exception would lose its kind on the way out of a worker.
            return (None if self.skip_broken else str(error)), row
        if epoch is None or not self.augment:
            return centre_crop(image, self.size), row
        return resized_crop(image, self.size, self.scale, (self.view_seed, epoch, row)), row

    def __len__(self) -> int:
        return len(self.labels)


def _stack(items: list[tuple[Tensor | str | None, int]]) -> tuple[Tensor | str, Rows]:
    errors = [image for image, _ in items if isinstance(image, str)]
    if errors:
        return errors[0], np.empty(0, dtype=np.int64)
    images = [image for image, _ in items if isinstance(image, Tensor)]
    kept = [row for image, row in items if image is not None]
    return (torch.stack(images) if images else torch.empty(0)), np.array(kept, dtype=np.int64)


Samples = ArraySamples | EncodedSamples
