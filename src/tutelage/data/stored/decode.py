"""Decode images to RGB tensors."""

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
"""Supported formats. Pillow supports more, some of which would start other programs (EPS)."""
_FASTER = ("JPEG", "MPO")
"""Formats to decode with torchvision, which takes half of Pillow's time. It is not used for other formats: its PNG
decoder (0.29) aborts the process if pixel data are truncated, its GIF decoder decodes every frame, and its WebP decoder
ignores the orientation."""
_PHOTOMETRIC = 262
"""TIFF tag that states which color 0 is."""
UNREADABLE = (OSError, ValueError)
"""Errors that fetching and decoding raise for a missing or damaged image."""


def read_image(encoded: Encoded, row: int) -> Tensor:
    """Return the image (3, H, W) of a row, uint8 RGB, rotated according to its EXIF orientation.

    Raises:
        TutelageError: If the image is missing or damaged. The message names the file or row.
        ShardError: If the whole shard cannot be read.
    """
    try:
        return decode(encoded.fetch(row), encoded.rendering)
    except ShardError:
        raise
    except UNREADABLE as error:
        reason = str(error).replace("\n", " ")
        raise TutelageError(
            f"{encoded.place(row)} is not a readable image ({reason}); fix or remove it, or set "
            f"data.skip_broken=true to skip such images"
        ) from None


def decode(data: bytes, rendering: Rendering = PLAIN) -> Tensor:
    """Return an image (3, H, W), uint8 RGB, rotated according to its EXIF orientation.

    Gray, palette, CMYK, 16-bit, 32-bit and float images are converted. Transparent images are composited on the
    background. Of several frames, the first is used. An unreadable orientation is ignored.

    Args:
        data: Content of an image file.
        rendering: Conversion of transparent, 16-bit, 32-bit and float images.

    Raises:
        ValueError: If the image is damaged, or larger than Pillow's limit (2 · ``PIL.Image.MAX_IMAGE_PIXELS``, 179
            million pixels), which is checked before decoding.
    """
    if not data:
        raise ValueError("it is empty")
    try:
        # This reads the header and applies Pillow's limit of pixels; torchvision has none.
        with Image.open(io.BytesIO(data), formats=FORMATS) as opened:
            if opened.format in _FASTER:
                try:
                    return _decode_with_torchvision(data)
                except (RuntimeError, ImportError):
                    pass  # Pillow supports more variants, and reports what is wrong with a damaged file.
            return _decode_with_pillow(opened, rendering)
    except UnidentifiedImageError:
        raise ValueError(f"its format is not one of {', '.join(FORMATS)}") from None
    except Exception as error:  # bytes of unknown origin can make a parser fail in any way
        raise ValueError(str(error) or type(error).__name__) from None


def is_constant(image: Tensor) -> bool:
    """Return whether all pixels of an image (3, H, W) have one color."""
    color = image[:, :1, :1]
    # Almost all images fail the first comparison, which only reads every 64th pixel.
    return bool((image[:, ::8, ::8] == color).all()) and bool((image == color).all())


def _decode_with_torchvision(data: bytes) -> Tensor:
    from torchvision.io import ImageReadMode, decode_image  # torchvision 0.29 announces its removal

    buffer = torch.frombuffer(bytearray(data), dtype=torch.uint8)  # a copy, because bytes are not writable
    return decode_image(buffer, mode=ImageReadMode.RGB, apply_exif_orientation=True)


def _decode_with_pillow(opened: ImageFile, rendering: Rendering) -> Tensor:
    deep = ";16" in str(opened.tile)  # not available after loading
    opened.load()
    image: Image.Image = opened
    with suppress(Exception):  # damaged EXIF data do not affect the pixels
        image = ImageOps.exif_transpose(opened)
    if image.mode[0] in "IF":
        white = 65535 if opened.format == "PPM" else rendering.white  # Pillow scales PGM by the maximum in its header
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
            f"its 16-bit channels reach only {int(rgb.max()) * 256:,} of 65,535, but only their upper 8 bits are read; "
            f"save it with 8 bits per channel"
        )
    return torch.from_numpy(rgb).permute(2, 0, 1)


def _is_white_zero(opened: ImageFile) -> bool:
    """Return whether 0 is white in a TIFF of more than 8 bits; Pillow only inverts those of up to 8 bits."""
    return opened.format == "TIFF" and opened.tag_v2.get(_PHOTOMETRIC) == 0  # type: ignore[attr-defined]


def _grey(values: npt.NDArray[np.generic], mode: str, white: float | None) -> npt.NDArray[np.uint8]:
    """Scale the values of a 16-bit, 32-bit or float image to 8 bits; ``white`` None depends on the mode."""
    levels = values.astype(np.float64)
    if not np.isfinite(levels).all():
        raise ValueError("it holds NaN or infinite values")
    low, high = levels.min(), levels.max()
    if low < 0:
        raise ValueError(f"it has negative values, down to {low:g}; save it with values of 0 or more")
    if white is None:
        white = _usual_white(mode, high)
    return (levels.clip(0, white) * (255 / white) + 0.5).astype(np.uint8)


def _usual_white(mode: str, high: float) -> float:
    """Return 65535 for 16 bits and 1 for floats, or raise ValueError if the values do not fit that range."""
    if mode == "F":
        if high <= 1:
            return 1.0
        raise ValueError(f"its floats go up to {high:g}, not 1; set data.white to the value of white")
    if mode.startswith("I;16") and (high >= 2**14 or high == 0):
        return 65535.0
    bits = max(8, int(high).bit_length())
    dark = " or data.white=65535 if it is dark" if mode.startswith("I;16") else ""
    raise ValueError(
        f"its {'16' if dark else '32'}-bit values only go up to {high:,.0f}; set data.white={2**bits - 1} if it has "
        f"{bits} bits{',' if dark else ''}{dark}"
    )
