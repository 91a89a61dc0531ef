"""From encoded bytes to RGB tensors."""

from __future__ import annotations

import io

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from tutelage.data.source import Encoded, ShardError
from tutelage.errors import TutelageError

FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "PPM")
"""What is read. Pillow knows more, some of which would start other programs (EPS)."""
_FASTER = ("JPEG", "MPO")
"""Formats that torchvision decodes, in half of Pillow's time. Of others it is not asked: its decoder of PNG (0.29) ends
the whole process where pixel data end early, that of GIF decodes every frame, and a WebP stays as it was turned."""
UNREADABLE = (OSError, ValueError)
"""What fetching and decoding raise where there is no whole image."""


def read_image(encoded: Encoded, row: int) -> Tensor:
    """Returns a row's image, (3, H, W) uint8 RGB, upright as its EXIF orientation says.

    Raises :class:`TutelageError`, naming the file or row, where there is no whole image, and :class:`ShardError` where
    there is none of its whole shard.
    """
    try:
        return decode(encoded.fetch(row))
    except ShardError:
        raise
    except UNREADABLE as error:
        reason = str(error).replace("\n", " ")
        raise TutelageError(
            f"{encoded.place(row)} is not a readable image ({reason}): mend or remove it, or leave such images out "
            f"with data.skip_broken=true"
        ) from None


def decode(data: bytes) -> Tensor:
    """Returns the image of an encoded file, (3, H, W) uint8 RGB, upright; raises ValueError where there is none.

    Grey, palette, CMYK and 16-bit images are converted, transparency is dropped, and of several frames the first is
    taken. An orientation that cannot be read is none. Images of more pixels than Pillow's limit
    (2 · ``PIL.Image.MAX_IMAGE_PIXELS``, 179 million) are refused before anything of them is decoded.
    """
    if not data:
        raise ValueError("it is empty")
    try:
        # The header alone: what torchvision decodes has no limit of its own.
        with Image.open(io.BytesIO(data), formats=FORMATS) as opened:
            if opened.format in _FASTER:
                try:
                    return _decode_with_torchvision(data)
                except (RuntimeError, ImportError):
                    pass  # Pillow reads more kinds, and says what is wrong with a broken file.
            return _decode_with_pillow(opened)
    except UnidentifiedImageError:
        raise ValueError(f"its format is none of {', '.join(FORMATS)}") from None
    except Exception as error:  # bytes of unknown origin make a parser fail in every way there is
        raise ValueError(str(error) or type(error).__name__) from None


def _decode_with_torchvision(data: bytes) -> Tensor:
    from torchvision.io import ImageReadMode, decode_image  # torchvision 0.29 announces that it will not have it

    buffer = torch.frombuffer(bytearray(data), dtype=torch.uint8)  # a copy, for bytes cannot be written to
    return decode_image(buffer, mode=ImageReadMode.RGB, apply_exif_orientation=True)


def _decode_with_pillow(opened: Image.Image) -> Tensor:
    opened.load()
    try:
        image = ImageOps.exif_transpose(opened)
    except Exception:  # the pixels are whole, and only what the camera says of itself is not
        image = opened
    if image.mode.startswith("I"):  # 16-bit grey, which Pillow would clip at 255
        grey = np.asarray(image).astype(np.int64) >> 8
        return torch.from_numpy(np.repeat(grey.clip(0, 255).astype(np.uint8)[None], 3, axis=0))
    return torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1)
