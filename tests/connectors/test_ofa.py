"""The exits of OFA-KD give logits at every stage."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tutelage.connectors import OFAExits


def test_the_last_maps_are_those_of_the_last_stages() -> None:
    exits = OFAExits([4, 6, 8], num_classes=5, width=16)
    logits = exits(torch.randn(2, 4, 8, 6), torch.randn(2, 6, 4, 3), torch.randn(2, 8, 2, 2))
    assert [tuple(own.shape) for own in logits] == [(2, 5)] * 3
    strides = [
        sum(layer.stride == (2, 2) for layer in exit_.modules() if isinstance(layer, nn.Conv2d))
        for exit_ in exits.exits
    ]
    assert strides == [2, 1, 0]


@pytest.mark.parametrize("stage", [1, 2, 3, 4])
def test_channels_double_with_each_block_up_to_the_width(stage: int) -> None:
    (exit_,) = OFAExits([4], num_classes=5, width=10, stages=[stage]).exits
    outputs = [layer.out_channels for layer in exit_.modules() if isinstance(layer, nn.Conv2d) and layer.groups == 1]
    assert outputs == [[4, 8, 8, 16, 16, 10], [4, 8, 8, 10], [4, 10], [10]][stage - 1]
