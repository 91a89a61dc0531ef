"""From encoded bytes to RGB tensors; from a sample's place to its crop."""

from __future__ import annotations

import io
import math

import numpy as np
import torch
import torchvision.transforms.v2.functional as TF
from PIL import Image
from torch import Tensor
from torchvision.io import ImageReadMode, decode_jpeg

from tutelage.data.counter_hash import uniform
from tutelage.errors import TutelageError

AREA, ASPECT, TOP, LEFT = 8, 9, 10, 11
"""Streams of the hash that a resized crop's numbers come from."""

_JPEG = b"\xff\xd8\xff"


def decode(encoded: bytes, place: str) -> Tensor:
    """Returns (3, H, W) uint8 RGB, whatever the mode of the image (grayscale, palette, RGBA, CMYK).

    Raises :class:`TutelageError`, naming ``place``, where the bytes are no whole image.
    """
    try:
        if encoded.startswith(_JPEG):
            try:
                return decode_jpeg(torch.frombuffer(bytearray(encoded), dtype=torch.uint8), mode=ImageReadMode.RGB)
            except RuntimeError:
                pass  # Pillow reads more kinds of JPEG, and says what is wrong with the others.
        with Image.open(io.BytesIO(encoded)) as image:
            return torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise TutelageError(
            f"{place} is not a readable image ({error}): mend or remove it, or leave such images out with "
            f"data.skip_broken=true"
        ) from None


def resized_crop(image: Tensor, size: int, scale: tuple[float, float], view: tuple[int, int, int]) -> Tensor:
    """Returns a random part of ``image`` (3, H, W) resized to ``size``², antialiased.

    The part's share of the area is uniform in ``scale``, its aspect ratio log-uniform in [3/4, 4/3]
    (Szegedy et al., 2015), its place uniform; all are a function of ``view`` = (view seed, epoch, index).
    """
    height, width = image.shape[-2:]
    seed, epoch, index = view
    at = torch.tensor(index)
    area, aspect, top, left = (uniform(seed, epoch, at, stream).item() for stream in (AREA, ASPECT, TOP, LEFT))
    pixels = height * width * (scale[0] + area * (scale[1] - scale[0]))
    ratio = math.exp((2 * aspect - 1) * math.log(4 / 3))
    crop_width = max(1, min(width, round(math.sqrt(pixels * ratio))))
    crop_height = max(1, min(height, round(math.sqrt(pixels / ratio))))
    corner = int(top * (height - crop_height + 1)), int(left * (width - crop_width + 1))
    return TF.resized_crop(image, *corner, crop_height, crop_width, [size, size], antialias=True)


def centre_crop(image: Tensor, size: int) -> Tensor:
    """Returns the middle ``size``² of ``image`` (3, H, W), whose shorter side is first resized to 8/7 of ``size``."""
    height, width = image.shape[-2:]
    factor = size * 8 / 7 / min(height, width)
    image = TF.resize(image, [max(size, round(height * factor)), max(size, round(width * factor))], antialias=True)
    return TF.center_crop(image, [size, size])
