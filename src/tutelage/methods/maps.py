"""Losses of feature maps, applied to whatever a tap reads."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from tutelage.taps import as_map


def of_map(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Lets ``function`` read any feature as a map (B, C, H, W): tokens are laid out in space first."""
    return lambda feature, *rest: function(as_map(feature), *rest)


def of_two_maps(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """The same for a function of the features at two taps."""
    return lambda first, second, *rest: function(as_map(first), as_map(second), *rest)
