"""Convert arrays to images, images to ``data:`` URIs, and galleries to figures."""

from __future__ import annotations

import base64
import io

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from tutelage.report.page.blocks import Gallery
from tutelage.report.page.drawing import color, shortened

LARGEST = 160
"""Maximum side in pixels; larger images are downscaled."""
LOSSLESS = 64
"""Side in pixels up to which images are stored losslessly."""
SIDE, GAP, LABEL, LINE = 1.3, 0.08, 0.18, 0.14
"""Sizes on a sheet in inches: side of a picture, gap between pictures, height of a label, height of a line."""


def picture(pixels: NDArray[np.uint8]) -> Image.Image:
    """Return pixels (H, W, 3) as an image with sides of at most ``LARGEST`` pixels."""
    image = Image.fromarray(pixels)
    image.thumbnail((LARGEST, LARGEST))
    return image


def data_uri(image: Image.Image) -> str:
    """Return the image as a ``data:`` URI, as PNG if it is small and JPEG otherwise."""
    out = io.BytesIO()
    if max(image.size) <= LOSSLESS:
        image.save(out, "PNG", optimize=True)
        kind = "png"
    else:
        image.save(out, "JPEG", quality=82)
        kind = "jpeg"
    return f"data:image/{kind};base64," + base64.b64encode(out.getvalue()).decode()


def sheet(gallery: Gallery) -> Figure:
    """Return the gallery as one figure, with labels above the pictures of each card and its lines below."""
    wide = max(len(card.pictures) for card in gallery.cards)
    lines = max(len(card.lines) for card in gallery.cards)
    columns = max(2, 6 // wide)
    step, height = wide * (SIDE + GAP), LABEL + SIDE + lines * LINE + GAP
    size = columns * step, -(-len(gallery.cards) // columns) * height
    figure = Figure(figsize=size)
    figure.set_layout_engine("none")
    # One pair of axes for all pictures, in inches from the upper left corner: one pair per picture would take seconds.
    axes = figure.add_axes((0, 0, 1, 1))
    axes.axis("off")
    for number, card in enumerate(gallery.cards):
        left, top = number % columns * step, number // columns * height + LABEL
        for place, shown in enumerate(card.pictures):
            start = left + place * (SIDE + GAP)
            axes.imshow(shown.image, extent=(start, start + SIDE, top + SIDE, top), interpolation="nearest")
            axes.text(start + SIDE / 2, top - GAP / 2, shown.label, ha="center", fontsize=7, color=color("muted"))
        text = "\n".join(shortened(line, 24 * wide) for line in card.lines)
        axes.text(left, top + SIDE + GAP / 2, text, va="top", fontsize=7)
    axes.set(xlim=(0, size[0]), ylim=(size[1], 0))
    return figure
