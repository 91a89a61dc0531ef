"""Convert tokens and channels-last maps to feature maps (B, C, H, W)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from torch import Tensor

from tutelage.errors import TutelageError

# Numbers of tokens before the grid: none; class token; class and distillation tokens; class token and four registers.
# Of equally good fits, the first is used.
PREFIX_TOKENS = (0, 1, 2, 5)

Size = Sequence[int]
"""Size (H, W)."""


class Layout(NamedTuple):
    """Layout of a network's features, by default a map (B, C, H, W)."""

    channels_last: bool = False
    prefix: int = 0
    """Number of prefix tokens."""
    grid: tuple[int, int] | None = None
    """Size (H, W) of the grid of tokens; None for maps."""

    def __call__(self, features: Tensor) -> Tensor:
        if self.grid is not None:
            return features[:, self.prefix :].transpose(1, 2).unflatten(2, self.grid)
        return features.permute(0, 3, 1, 2) if self.channels_last else features


def as_map(features: Tensor, input_size: Size = (1, 1)) -> Tensor:
    """Return features as a map (B, C, H, W) that shares memory with the input.

    The layout is inferred from the aspect ratio of the images, which a map shares:

    * (B, C, H, W) is returned unchanged.
    * (B, H, W, C), as returned by timm's Swin, is permuted if dimensions 1 and 2 fit the aspect ratio better than
      dimensions 2 and 3.
    * Tokens (B, N, C) with N = H·W + p become (B, C, H, W) without the first p tokens, where p is 0, 1, 2 or 5.

    Args:
        features: Output of a tap.
        input_size: Size (H, W) of the network's input images. The default stands for square images of any size.

    Returns:
        The map.

    Raises:
        TutelageError: If the features are not a map of such images.

    Example:
        >>> import torch
        >>> from tutelage.taps import as_map
        >>> as_map(torch.zeros(8, 91, 192), input_size=(96, 240)).shape
        torch.Size([8, 192, 6, 15])
    """
    shape = tuple(features.shape)
    layout = layout_of(shape, input_size)
    if layout is not None:
        return layout(features)
    if features.ndim == 3:
        raise TutelageError(
            f"tokens of shape {shape} are not a map of {input_size[0]}x{input_size[1]} images: without 0, 1, 2 or 5 "
            f"prefix tokens, {shape[1]} tokens do not fill a grid of that aspect; tap a point with a feature map"
        )
    raise TutelageError(f"features of shape {shape} are not a map; tap (B, C, H, W), (B, H, W, C) or tokens (B, N, C)")


def laid_out(features: Mapping[str, Tensor], input_size: Size) -> dict[str, Tensor]:
    """Return features with all maps as (B, C, H, W). Other features do not change.

    Args:
        features: Features by tap.
        input_size: Size (H, W) of the network's input images.

    Example:
        >>> import torch
        >>> from tutelage.taps import laid_out
        >>> features = {"blocks.5": torch.zeros(1, 17, 192), "head": torch.zeros(1, 10)}
        >>> {tap: tuple(value.shape) for tap, value in laid_out(features, (64, 64)).items()}
        {'blocks.5': (1, 192, 4, 4), 'head': (1, 10)}
    """
    return {tap: lay_out(value, input_size) for tap, value in features.items()}


def lay_out(value: Tensor, input_size: Size) -> Tensor:
    """Return a feature as a map (B, C, H, W), or unchanged if it is not a map."""
    layout = layout_of(tuple(value.shape), input_size)
    return value if layout is None else layout(value)


def layout_of(shape: tuple[int, ...], input_size: Size) -> Layout | None:
    """Return the layout of features of this shape (including the batch), or None if they are not a map."""
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
    """Return by how many positions a side deviates from the images' aspect ratio; less than one is due to rounding."""
    return abs(height * input_size[1] - width * input_size[0]) / max(input_size)
