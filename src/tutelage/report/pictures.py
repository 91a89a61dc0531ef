"""Pixels: from arrays to images, and from images to addresses and sheets."""

from __future__ import annotations

import base64
import io

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from tutelage.report.blocks import Gallery
from tutelage.report.drawing import color, shortened

LARGEST = 160
"""Side, in pixels, above which images are made smaller."""
LOSSLESS = 64
"""Side up to which images are small enough to be kept as they are."""
SIDE, GAP, LABEL, LINE = 1.3, 0.08, 0.18, 0.14
"""Inches on a sheet: of a picture, between pictures, above for its label, below for each line."""


def picture(pixels: NDArray[np.uint8]) -> Image.Image:
    """Returns (H, W, 3) pixels as an image of at most :data:`LARGEST` pixels a side."""
    image = Image.fromarray(pixels)
    image.thumbnail((LARGEST, LARGEST))
    return image


def data_uri(image: Image.Image) -> str:
    """Returns the image as a ``data:`` address: exact where it is small, else as JPEG."""
    out = io.BytesIO()
    if max(image.size) <= LOSSLESS:
        image.save(out, "PNG", optimize=True)
        kind = "png"
    else:
        image.save(out, "JPEG", quality=82)
        kind = "jpeg"
    return f"data:image/{kind};base64," + base64.b64encode(out.getvalue()).decode()


def sheet(gallery: Gallery) -> Figure:
    """Returns the gallery as one figure: each card a row of pictures under their labels, with its lines below."""
    wide = max(len(card.pictures) for card in gallery.cards)
    lines = max(len(card.lines) for card in gallery.cards)
    columns = max(2, 6 // wide)
    step, height = wide * (SIDE + GAP), LABEL + SIDE + lines * LINE + GAP
    size = columns * step, -(-len(gallery.cards) // columns) * height
    figure = Figure(figsize=size)
    figure.set_layout_engine("none")
    for number, card in enumerate(gallery.cards):
        left, top = number % columns * step, number // columns * height + LABEL
        for place, shown in enumerate(card.pictures):
            corner = left + place * (SIDE + GAP), size[1] - top - SIDE
            axes = figure.add_axes((corner[0] / size[0], corner[1] / size[1], SIDE / size[0], SIDE / size[1]))
            axes.axis("off")
            axes.imshow(shown.image, aspect="auto")
            axes.set_title(shown.label, fontsize=7, fontweight="normal", loc="center", color=color("muted"), pad=2)
        text = "\n".join(shortened(line, 24 * wide) for line in card.lines)
        figure.text(left / size[0], 1 - (top + SIDE + GAP / 2) / size[1], text, va="top", fontsize=7)
    return figure
