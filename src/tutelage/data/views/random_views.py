"""Random views (pad, crop, flip, RandAugment) on the device of the images, reproducible for each sample."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor

from tutelage.data.hashing import Stream, uniform
from tutelage.data.views.randaugment import RandAugment

if TYPE_CHECKING:
    from tutelage.data.settings import DataSettings


@dataclass(frozen=True)
class Views:
    """Policy for random views of a batch of uint8 images at an epoch. Equal policies make equal views."""

    padding: int = 0
    """Pixels added on each side before a random crop of the original size."""
    padding_mode: Literal["zeros", "reflect"] = "zeros"
    flip: bool = False
    """Whether to mirror half of the images left to right."""
    view_seed: int = 0
    """Seed of the random numbers."""
    randaugment: RandAugment | None = None
    """RandAugment for the cropped and mirrored images."""

    @property
    def random(self) -> bool:
        """Whether views change from epoch to epoch."""
        return self.padding > 0 or self.flip or self.randaugment is not None

    @classmethod
    def of(cls, settings: DataSettings, padding: int, flip: bool) -> Views:
        """Return the policy of ``settings``; ``padding`` and ``flip`` are the defaults of the data set."""
        if not settings.augment:
            return cls(view_seed=settings.view_seed)
        padding = settings.padding if settings.padding is not None else padding
        flip = settings.flip if settings.flip is not None else flip
        operations = settings.randaugment
        randaugment = (
            RandAugment(operations, settings.randaugment_magnitude, settings.view_seed) if operations else None
        )
        return cls(padding, settings.padding_mode, flip, settings.view_seed, randaugment)

    def __call__(self, images: Tensor, index: Tensor, epoch: int) -> Tensor:
        """Return random views of images, with the same shape, type and device.

        A view is a pure function of the image and (view seed, epoch, index). It does not depend on the batch.

        Args:
            images: Images (B, 3, H, W), uint8, as loaders yield them.
            index: Numbers (B,) of the samples in the training set, int64, on the CPU.
            epoch: Number of the epoch.

        Raises:
            ValueError: If the images are not larger than a reflected padding.
        """
        if self.padding or self.flip:
            images = self._crop(images, index.to(images.device, non_blocking=True), epoch)
        return images if self.randaugment is None else self.randaugment(images, index, epoch)

    def _crop(self, images: Tensor, index: Tensor, epoch: int) -> Tensor:
        """Pad, crop and mirror images."""
        height, width = images.shape[2:]
        mirror, row, column = self._draw(index, epoch)
        places = torch.arange(width, device=images.device)
        if self.flip:
            places = torch.where(mirror.unsqueeze(1) < 0.5, places.flip(0), places)
        if not self.padding:
            return images.gather(3, places.unsqueeze(1).unsqueeze(1).expand_as(images))
        rows = self._offset(row) + torch.arange(height, device=images.device)
        return self._gather(images, rows, self._offset(column) + places)

    def _draw(self, index: Tensor, epoch: int) -> Tensor:
        """Draw uniform numbers (3, B) for mirroring, row and column."""
        # Created on the device, because a copy from the CPU would wait for the kernels queued there.
        streams = torch.arange(Stream.FLIP, Stream.COLUMN + 1, device=index.device)
        return uniform(self.view_seed, epoch, index, streams.unsqueeze(1))

    def _offset(self, draw: Tensor) -> Tensor:
        """Return the first source row or column (B, 1) of each crop: −padding … padding, all equally likely."""
        return (draw * (2 * self.padding + 1)).long().unsqueeze(1) - self.padding

    def _gather(self, images: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
        """Read pixel (b, c, rows[b, y], columns[b, x]) of the padded images, for rows (B, H) and columns (B, W)."""
        height, width = images.shape[2:]
        if self.padding_mode == "reflect":
            if self.padding >= min(height, width):
                raise ValueError(
                    f"padding_mode=reflect with padding={self.padding} needs images of more than {self.padding} pixels"
                )
            inner_rows, inner_columns = _reflect(rows, height), _reflect(columns, width)
        else:
            inner_rows, inner_columns = rows.clamp(0, height - 1), columns.clamp(0, width - 1)
        pixels = inner_rows.unsqueeze(2) * width + inner_columns.unsqueeze(1)
        source = pixels.flatten(1).unsqueeze(1).expand(-1, images.shape[1], -1)
        views = images.flatten(2).gather(2, source).view(images.shape)
        if self.padding_mode == "zeros":
            inside = (inner_rows == rows).unsqueeze(2) & (inner_columns == columns).unsqueeze(1)
            views *= inside.unsqueeze(1)
        return views


def _reflect(places: Tensor, length: int) -> Tensor:
    return (length - 1) - ((length - 1) - places.abs()).abs()
