"""What loaders yield."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class Batch(NamedTuple):
    """Images as decoded, not normalised."""

    images: Tensor
    """(B, 3, H, W) uint8, RGB; on the GPU where the whole set is kept there, else on the host."""
    labels: Tensor
    """(B,) int64, −1 where unlabelled."""
    index: Tensor  # type: ignore[assignment]
    """(B,) int64: the sample's place in the whole training set, whatever part of it is used."""
