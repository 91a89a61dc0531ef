"""The part of a large image that a network sees: a random one in training, the middle in evaluation."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from tutelage.data.hashing import Stream, uniform

ATTEMPTS = 10
"""Boxes drawn before the middle of the image is taken instead."""
RATIO = 4 / 3
"""Widest and, inverted, tallest shape of a random box."""
CENTRE = 0.875
"""Part of the resized image's shorter side that evaluation keeps."""

Box = tuple[int, int, int, int]
"""(top, left, height, width)."""
Draws = list[list[float]]
"""For each attempt, numbers in [0, 1) for area, aspect ratio, top and left."""


def draw_boxes(view_seed: int, epoch: int, rows: Tensor) -> list[Draws]:
    """Returns the random numbers of each sample's box at ``epoch``: a pure function of (view seed, epoch, row)."""
    streams = torch.arange(4 * ATTEMPTS) + int(Stream.RESIZED_CROP)
    return uniform(view_seed, epoch, rows.unsqueeze(1), streams).view(-1, ATTEMPTS, 4).tolist()


def random_box(height: int, width: int, scale: tuple[float, float], draws: Draws) -> Box:
    """Returns the box of a random resized crop (Szegedy et al., 2015) of an image.

    Its share of the area is uniform in ``scale``, the logarithm of its aspect ratio in ± log(4/3), its place uniform
    among those inside the image. Ten boxes are tried; if none fits, it is the largest central one of a ratio in range.
    """
    for area, aspect, top, left in draws:
        pixels = height * width * (scale[0] + area * (scale[1] - scale[0]))
        ratio = math.exp((2 * aspect - 1) * math.log(RATIO))
        box_width, box_height = round(math.sqrt(pixels * ratio)), round(math.sqrt(pixels / ratio))
        if 0 < box_width <= width and 0 < box_height <= height:
            return int(top * (height - box_height + 1)), int(left * (width - box_width + 1)), box_height, box_width
    box_width, box_height = min(width, round(height * RATIO)), min(height, round(width * RATIO))
    return (height - box_height) // 2, (width - box_width) // 2, box_height, box_width


def resized_crop(image: Tensor, box: Box, size: int) -> Tensor:
    """Returns ``box`` of ``image`` (3, H, W), uint8, resized to (3, size, size): bilinear, antialiased."""
    top, left, height, width = box
    return resize(image[:, top : top + height, left : left + width], (size, size))


def centre_crop(image: Tensor, size: int, keep: float = CENTRE) -> Tensor:
    """Returns the middle (3, size, size) of ``image`` (3, H, W) with its shorter side first resized to size / keep."""
    height, width = image.shape[1:]
    factor = round(size / keep) / min(height, width)
    image = resize(image, (round(height * factor), round(width * factor)))
    top, left = (image.shape[1] - size) // 2, (image.shape[2] - size) // 2
    return image[:, top : top + size, left : left + size]


def resize(image: Tensor, size: tuple[int, int]) -> Tensor:
    """Returns ``image`` (3, H, W), uint8, resized to ``size`` (h, w): bilinear, antialiased."""
    if tuple(image.shape[1:]) == size:
        return image
    return F.interpolate(image[None], size, mode="bilinear", antialias=True)[0]
