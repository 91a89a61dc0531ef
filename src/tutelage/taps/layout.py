"""Feature layouts: maps, tokens and channels-last maps brought to one form, (B, C, H, W)."""

from __future__ import annotations

import math

from torch import Tensor

from tutelage.errors import TutelageError

# Class token; class and distillation token; class token and four registers. Tried in this order.
PREFIX_TOKENS = (0, 1, 2, 5)


def as_map(features: Tensor) -> Tensor:
    """Returns features as a map (B, C, H, W), sharing memory with the input.

    - (B, C, H, W) is kept.
    - (B, H, W, C), as timm's Swin gives, is permuted. It is recognised by a square H = W in places 1 and 2 and a
      different size in place 3; maps that are not square are taken as (B, C, H, W).
    - Tokens (B, N, C) with N = h·h + p lose their p prefix tokens (which come first; p is 0, 1, 2 or 5, the first that
      leaves a square) and become (B, C, h, h).

    Raises TutelageError for any other shape.
    """
    shape = tuple(features.shape)
    if features.ndim == 4:
        channels_last = shape[1] == shape[2] != shape[3]
        return features.permute(0, 3, 1, 2) if channels_last else features
    if features.ndim == 3:
        for prefix in PREFIX_TOKENS:
            side = math.isqrt(max(shape[1] - prefix, 0))
            if side and side * side == shape[1] - prefix:
                return features[:, prefix:].transpose(1, 2).unflatten(2, (side, side))
        raise TutelageError(
            f"tokens of shape {shape} are no square map: {shape[1]} tokens less 0, 1, 2 or 5 prefix tokens is not a "
            "square number; tap a point where the features are a map, or use square images"
        )
    raise TutelageError(f"features of shape {shape} are no map: (B, C, H, W), (B, H, W, C) or tokens (B, N, C) are")
