"""Crops of large images: random boxes in training, the center in evaluation."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from PIL import ImageColor
from torch import Tensor

from tutelage.data.hashing import Stream, uniform
from tutelage.models import Resize

ATTEMPTS = 10
"""Number of random boxes to try before using a central one."""
RATIO = 4 / 3
"""Maximum aspect ratio of a random box; its inverse is the minimum."""
CENTRE = 0.875
"""Fraction of the resized image's shorter side that evaluation keeps."""

LONGEST = 4
"""Aspect ratio, relative to the view's, beyond which the ends of an image are cut off before resizing."""

Box = tuple[int, int, int, int]
"""Box (top, left, height, width)."""
Draws = list[list[float]]
"""Random numbers in [0, 1) for area, aspect ratio, top and left of each attempt."""


def draw_boxes(view_seed: int, epoch: int, rows: Tensor) -> list[Draws]:
    """Return the random numbers for each sample's box, a pure function of (view seed, epoch, row)."""
    streams = torch.arange(4 * ATTEMPTS) + int(Stream.RESIZED_CROP)
    return uniform(view_seed, epoch, rows.unsqueeze(1), streams).view(-1, ATTEMPTS, 4).tolist()


def random_box(height: int, width: int, scale: tuple[float, float], draws: Draws, aspect: float = 1.0) -> Box:
    """Return the box of a random resized crop (Szegedy et al., 2015).

    The fraction of the area is uniform in ``scale``, the logarithm of the aspect ratio is uniform in
    log(``aspect``) ± log(4/3), and the position is uniform within the image. If none of ten boxes fits, the result is
    the largest central box with an aspect ratio in this range.

    Args:
        height: Height of the image.
        width: Width of the image.
        scale: Minimum and maximum fraction of the area.
        draws: Random numbers from ``draw_boxes``.
        aspect: Mean aspect ratio, width over height.
    """
    for area, shape, top, left in draws:
        pixels = height * width * (scale[0] + area * (scale[1] - scale[0]))
        ratio = aspect * math.exp((2 * shape - 1) * math.log(RATIO))
        box_width, box_height = round(math.sqrt(pixels * ratio)), round(math.sqrt(pixels / ratio))
        if 0 < box_width <= width and 0 < box_height <= height:
            return int(top * (height - box_height + 1)), int(left * (width - box_width + 1)), box_height, box_width
    box_width = max(1, min(width, round(height * aspect * RATIO)))
    box_height = max(1, min(height, round(width / aspect * RATIO)))
    return (height - box_height) // 2, (width - box_width) // 2, box_height, box_width


@dataclass(frozen=True)
class Framing:
    """Conversion of images (3, H, W), uint8, of any size to views of one size."""

    size: tuple[int, int]
    """Size (h, w) of the views."""
    mode: Resize = "crop"
    keep: float = CENTRE
    """Fraction of the resized image that evaluation keeps in mode ``crop``."""
    fill: str = "white"
    """Color of the border in mode ``pad``."""

    def centre(self, image: Tensor) -> Tensor:
        """Return the view for evaluation: the center of the image, or all of it."""
        return centre_crop(image, self.size, self.keep) if self.mode == "crop" else self._whole(image)

    def random(self, image: Tensor, scale: tuple[float, float], draws: Draws) -> Tensor:
        """Return a view for training: a random box with about the aspect ratio of the view, or of the image."""
        height, width = image.shape[1:]
        aspect = self.size[1] / self.size[0] if self.mode == "crop" else width / height
        top, left, box_height, box_width = random_box(height, width, scale, draws, aspect)
        return self._whole(image[:, top : top + box_height, left : left + box_width])

    def shown(self, height: int, width: int) -> float:
        """Return the fraction of an image's area that the view for evaluation can show, in (0, 1]."""
        aspect = self.size[1] / self.size[0] * height / width
        return min(aspect, 1 / aspect) if self.mode == "crop" else 1.0

    def _whole(self, image: Tensor) -> Tensor:
        return letterbox(image, self.size, self.fill) if self.mode == "pad" else resize(image, self.size)


def centre_crop(image: Tensor, size: tuple[int, int], keep: float = CENTRE) -> Tensor:
    """Return the center (3, h, w) of ``image`` (3, H, W), resized to just cover (h / keep, w / keep)."""
    image = _without_ends(image, size)
    height, width = image.shape[1:]
    factor = max(round(size[0] / keep) / height, round(size[1] / keep) / width)
    image = resize(image, (round(height * factor), round(width * factor)))
    top, left = (image.shape[1] - size[0]) // 2, (image.shape[2] - size[1]) // 2
    return image[:, top : top + size[0], left : left + size[1]]


def letterbox(image: Tensor, size: tuple[int, int], fill: str) -> Tensor:
    """Return ``image`` (3, H, W) resized to fit into (3, h, w), with a border of the color ``fill``."""
    height, width = image.shape[1:]
    factor = min(size[0] / height, size[1] / width)
    inner = resize(image, (max(1, round(height * factor)), max(1, round(width * factor))))
    top, left = (size[0] - inner.shape[1]) // 2, (size[1] - inner.shape[2]) // 2
    color = torch.tensor(ImageColor.getrgb(fill)[:3], dtype=image.dtype)
    framed = color.view(3, 1, 1).repeat(1, *size)
    framed[:, top : top + inner.shape[1], left : left + inner.shape[2]] = inner
    return framed


def _without_ends(image: Tensor, size: tuple[int, int]) -> Tensor:
    """Return an image without the ends of a very long side, which would become huge before cropping."""
    height, width = image.shape[1:]
    aspect = size[1] / size[0]
    cut_rows = max(0, height - math.ceil(LONGEST * width / aspect)) // 2
    cut_columns = max(0, width - math.ceil(LONGEST * height * aspect)) // 2
    return image[:, cut_rows : height - cut_rows, cut_columns : width - cut_columns]


def resize(image: Tensor, size: tuple[int, int]) -> Tensor:
    """Return ``image`` (3, H, W), uint8, resized to ``size`` (h, w) bilinearly with antialiasing."""
    if tuple(image.shape[1:]) == size:
        return image
    return F.interpolate(image[None], size, mode="bilinear", antialias=True)[0]
