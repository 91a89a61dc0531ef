"""The operation that both ShuffleNets are named after."""

from __future__ import annotations

from torch import Tensor, nn


class ChannelShuffle(nn.Module):
    """Interleaves ``groups`` equal runs of channels: channel c of run g becomes channel c·groups + g.

    (B, C, H, W) to the same shape. It has no parameters.
    """

    def __init__(self, groups: int) -> None:
        super().__init__()
        self.groups = groups

    def forward(self, x: Tensor) -> Tensor:
        return x.unflatten(1, (self.groups, -1)).transpose(1, 2).flatten(1, 2)
