"""Channel shuffle of both ShuffleNets."""

from __future__ import annotations

from torch import Tensor, nn


class ChannelShuffle(nn.Module):
    """Interleaving of ``groups`` equal groups of channels: channel c of group g becomes channel c·groups + g.

    The shape (B, C, H, W) does not change. No parameters.
    """

    def __init__(self, groups: int) -> None:
        super().__init__()
        self.groups = groups

    def forward(self, x: Tensor) -> Tensor:
        return x.unflatten(1, (self.groups, -1)).transpose(1, 2).flatten(1, 2)
