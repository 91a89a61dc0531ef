"""Feature layouts: maps, tokens and channels-last maps brought to one form, (B, C, H, W)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from torch import Tensor

from tutelage.errors import TutelageError

# Class token; class and distillation token; class token and four registers. The first that fits best is taken.
PREFIX_TOKENS = (0, 1, 2, 5)

Size = Sequence[int]
"""(H, W)."""


class Layout(NamedTuple):
    """How a network lays a map out: channels first where nothing else is said."""

    channels_last: bool = False
    prefix: int = 0
    grid: tuple[int, int] | None = None
    """(H, W) of tokens in rows; None for what is a map already."""

    def __call__(self, features: Tensor) -> Tensor:
        if self.grid is not None:
            return features[:, self.prefix :].transpose(1, 2).unflatten(2, self.grid)
        return features.permute(0, 3, 1, 2) if self.channels_last else features


def as_map(features: Tensor, input_size: Size = (1, 1)) -> Tensor:
    """Return features as a map (B, C, H, W), sharing memory with the input.

    The images' sides decide which places of a shape are H and W: a map is as much wider than high as they are.

    - (B, C, H, W) is kept.
    - (B, H, W, C), as timm's Swin gives, is permuted, where places 1 and 2 fit the images' sides better than 2 and 3.
    - Tokens (B, N, C) with N = H·W + p lose their p prefix tokens, which come first (p is 0, 1, 2 or 5), and become
      (B, C, H, W).

    Args:
        features: what a tap read.
        input_size: (H, W) of the images that the network was given; square ones where it is left out.

    Raises:
        TutelageError: features of any other shape.

    >>> import torch
    >>> as_map(torch.zeros(8, 91, 192), input_size=(96, 240)).shape
    torch.Size([8, 192, 6, 15])
    """
    shape = tuple(features.shape)
    layout = layout_of(shape, input_size)
    if layout is not None:
        return layout(features)
    if features.ndim == 3:
        raise TutelageError(
            f"tokens of shape {shape} are no map of {input_size[0]}x{input_size[1]} images: {shape[1]} tokens less 0, "
            "1, 2 or 5 prefix tokens do not fill a grid of that aspect; tap a point where the features are a map"
        )
    raise TutelageError(f"features of shape {shape} are no map: (B, C, H, W), (B, H, W, C) or tokens (B, N, C) are")


def laid_out(features: Mapping[str, Tensor], input_size: Size) -> dict[str, Tensor]:
    """Return features with each that can be a map as (B, C, H, W), and the rest as they are."""
    return {tap: lay_out(value, input_size) for tap, value in features.items()}


def lay_out(value: Tensor, input_size: Size) -> Tensor:
    """Return a feature as a map (B, C, H, W) if it can be one, and as it is otherwise."""
    layout = layout_of(tuple(value.shape), input_size)
    return value if layout is None else layout(value)


def layout_of(shape: tuple[int, ...], input_size: Size) -> Layout | None:
    """Return the layout of features of this shape, batch included, where they can be a map."""
    if len(shape) == 4:
        first, last = (_misfit(shape[2], shape[3], input_size), _misfit(shape[1], shape[2], input_size))
        return Layout(channels_last=last < min(first, 1))
    return _tokens(shape[1], input_size) if len(shape) == 3 else None


def _tokens(count: int, input_size: Size) -> Layout | None:
    fitting: list[tuple[float, Layout]] = []
    for prefix in PREFIX_TOKENS:
        tokens = count - prefix
        height = round((max(tokens, 0) * input_size[0] / input_size[1]) ** 0.5)
        if height and tokens % height == 0:
            grid = (height, tokens // height)
            fitting.append((_misfit(*grid, input_size), Layout(prefix=prefix, grid=grid)))
    misfit, layout = min(fitting, key=lambda found: found[0], default=(1.0, None))
    return layout if misfit < 1 else None


def _misfit(height: int, width: int, input_size: Size) -> float:
    """How many positions too many a map has along a side, for images of this size: rounding makes less than one."""
    return abs(height * input_size[1] - width * input_size[0]) / max(input_size)
