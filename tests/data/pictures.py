"""Images for tests."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image


def picture(seed: int, height: int, width: int) -> Image.Image:
    """A smooth picture that is different for each seed."""
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


def encode(image: Image.Image, format: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format)
    return buffer.getvalue()
