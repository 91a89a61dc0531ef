"""From encoded bytes to RGB tensors."""

from __future__ import annotations

import io
from contextlib import suppress

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image, ImageOps, UnidentifiedImageError, features
from PIL.ImageFile import ImageFile
from torch import Tensor

from tutelage.data.source import PLAIN, Encoded, Rendering, ShardError
from tutelage.errors import TutelageError

FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "PPM", *(("AVIF",) if features.check("avif") else ()))
"""What is read. Pillow knows more, some of which would start other programs (EPS)."""
_FASTER = ("JPEG", "MPO")
"""Formats that torchvision decodes, in half of Pillow's time. Of others it is not asked: its decoder of PNG (0.29) ends
the whole process where pixel data end early, that of GIF decodes every frame, and a WebP stays as it was turned."""
_PHOTOMETRIC = 262
"""The tag of a TIFF file that says which color 0 is."""
UNREADABLE = (OSError, ValueError)
"""What fetching and decoding raise where there is no whole image."""


def read_image(encoded: Encoded, row: int) -> Tensor:
    """Returns a row's image, (3, H, W) uint8 RGB, upright as its EXIF orientation says.

    Raises :class:`TutelageError`, naming the file or row, where there is no whole image, and :class:`ShardError` where
    there is none of its whole shard.
    """
    try:
        return decode(encoded.fetch(row), encoded.rendering)
    except ShardError:
        raise
    except UNREADABLE as error:
        reason = str(error).replace("\n", " ")
        raise TutelageError(
            f"{encoded.place(row)} is not a readable image ({reason}): mend or remove it, or leave such images out "
            f"with data.skip_broken=true"
        ) from None


def decode(data: bytes, rendering: Rendering = PLAIN) -> Tensor:
    """Returns the image of an encoded file, (3, H, W) uint8 RGB, upright; raises ValueError where there is none.

    Grey, palette, CMYK and deep images are converted, transparent ones are composited on the background, and of
    several frames the first is taken. An orientation that cannot be read is none. Images of more pixels than Pillow's
    limit (2 · ``PIL.Image.MAX_IMAGE_PIXELS``, 179 million) are refused before anything of them is decoded.
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
            return _decode_with_pillow(opened, rendering)
    except UnidentifiedImageError:
        raise ValueError(f"its format is none of {', '.join(FORMATS)}") from None
    except Exception as error:  # bytes of unknown origin make a parser fail in every way there is
        raise ValueError(str(error) or type(error).__name__) from None


def is_constant(image: Tensor) -> bool:
    """Return whether all pixels of (3, H, W) have one color."""
    color = image[:, :1, :1]
    # Hardly any image passes the first comparison, which looks at every 64th pixel.
    return bool((image[:, ::8, ::8] == color).all()) and bool((image == color).all())


def _decode_with_torchvision(data: bytes) -> Tensor:
    from torchvision.io import ImageReadMode, decode_image  # torchvision 0.29 announces that it will not have it

    buffer = torch.frombuffer(bytearray(data), dtype=torch.uint8)  # a copy, for bytes cannot be written to
    return decode_image(buffer, mode=ImageReadMode.RGB, apply_exif_orientation=True)


def _decode_with_pillow(opened: ImageFile, rendering: Rendering) -> Tensor:
    deep = ";16" in str(opened.tile)  # which loading forgets
    opened.load()
    image: Image.Image = opened
    with suppress(Exception):  # the pixels are whole even if what the camera says of itself is not
        image = ImageOps.exif_transpose(opened)
    if image.mode[0] in "IF":
        white = 65535 if opened.format == "PPM" else rendering.white  # Pillow scales what a PGM says its white is
        grey = _grey(np.asarray(image), image.mode, white)
        if _is_white_zero(opened):
            grey = 255 - grey
        return torch.from_numpy(np.repeat(grey[None], 3, axis=0))
    if image.has_transparency_data:
        pixels = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", pixels.size, rendering.background), pixels)
    rgb = np.array(image.convert("RGB"))
    if deep and 0 < rgb.max() < 64:
        raise ValueError(
            f"its 16-bit channels reach only {int(rgb.max()) * 256:,} of 65,535, and their upper 8 bits alone can be "
            f"read: save it with 8 bits per channel"
        )
    return torch.from_numpy(rgb).permute(2, 0, 1)


def _is_white_zero(opened: ImageFile) -> bool:
    """Return whether 0 is white in a deep TIFF: Pillow inverts only those of up to 8 bits."""
    return opened.format == "TIFF" and opened.tag_v2.get(_PHOTOMETRIC) == 0  # type: ignore[attr-defined]


def _grey(values: npt.NDArray[np.generic], mode: str, white: float | None) -> npt.NDArray[np.uint8]:
    """Scale the values of a deep image, of which ``white`` is the largest, to 8 bits; None: as its mode suggests."""
    levels = values.astype(np.float64)
    if not np.isfinite(levels).all():
        raise ValueError("it holds NaN or infinite values")
    low, high = levels.min(), levels.max()
    if low < 0:
        raise ValueError(f"its values go down to {low:g}: save it with values from 0 up")
    if white is None:
        white = _usual_white(mode, high)
    return (levels.clip(0, white) * (255 / white) + 0.5).astype(np.uint8)


def _usual_white(mode: str, high: float) -> float:
    """The white of full 16 bits, and 1 for floats; raises ValueError for an image that would lose its contrast so."""
    if mode == "F":
        if high <= 1:
            return 1.0
        raise ValueError(f"its floats go up to {high:g}, not 1: set data.white to the value that is white")
    if mode.startswith("I;16") and (high >= 2**14 or high == 0):
        return 65535.0
    bits = max(8, int(high).bit_length())
    dark = " or data.white=65535 if it is dark" if mode.startswith("I;16") else ""
    raise ValueError(
        f"its {'16' if dark else '32'}-bit values go up to {high:,.0f} only: set data.white={2**bits - 1} if it has "
        f"{bits} bits{',' if dark else ''}{dark}"
    )
