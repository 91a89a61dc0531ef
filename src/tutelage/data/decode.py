"""From encoded bytes to RGB tensors."""

from __future__ import annotations

import io

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from tutelage.data.source import Encoded
from tutelage.errors import TutelageError

try:
    from torchvision.io import ImageReadMode, decode_image
except ImportError:  # announced by torchvision 0.29
    decode_image = None

UNREADABLE = (OSError, SyntaxError, ValueError, Image.DecompressionBombError)
"""What Pillow raises where there is no whole image."""


def read_image(encoded: Encoded, row: int) -> Tensor:
    """Returns a row's image, (3, H, W) uint8 RGB, upright as its EXIF orientation says.

    Raises :class:`TutelageError`, naming the file or row, where there is no whole image.
    """
    try:
        return decode(encoded.fetch(row))
    except UNREADABLE as error:
        reason = str(error).replace("\n", " ")
        raise TutelageError(
            f"{encoded.place(row)} is not a readable image ({reason}): mend or remove it, or leave such images out "
            f"with data.skip_broken=true"
        ) from None


def decode(data: bytes) -> Tensor:
    """Returns the image of an encoded file, (3, H, W) uint8 RGB, upright; raises one of ``UNREADABLE``.

    Grey, palette, CMYK and 16-bit images are converted, transparency is dropped, and of several frames the first is
    taken.
    """
    if not data:
        raise ValueError("it is empty")
    if decode_image is not None:
        try:
            return _decode_with_torchvision(data)
        except RuntimeError:
            pass  # Pillow reads more formats, and says what is wrong with a broken file.
    return _decode_with_pillow(data)


def _decode_with_torchvision(data: bytes) -> Tensor:
    """Takes half of Pillow's time."""
    buffer = torch.frombuffer(bytearray(data), dtype=torch.uint8)  # a copy, for bytes cannot be written to
    image = decode_image(buffer, mode=ImageReadMode.RGB, apply_exif_orientation=True)
    if image.dtype == torch.uint16:
        image = (image.to(torch.int32) >> 8).to(torch.uint8)
    return image[0] if image.ndim == 4 else image


def _decode_with_pillow(data: bytes) -> Tensor:
    try:
        opened = Image.open(io.BytesIO(data))
    except UnidentifiedImageError:
        raise ValueError("its format is unknown") from None
    with opened:
        image = ImageOps.exif_transpose(opened)
        if image.mode.startswith("I"):  # 16-bit grey, which Pillow would clip at 255
            grey = np.asarray(image).astype(np.int64) >> 8
            return torch.from_numpy(np.repeat(grey.clip(0, 255).astype(np.uint8)[None], 3, axis=0))
        return torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1)
