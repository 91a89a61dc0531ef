"""The generator of MGD aligns channels, masks and generates."""

from __future__ import annotations

import torch
from torch import nn

from tutelage.connectors import MGDGenerator


def test_channels_are_aligned_only_if_they_differ() -> None:
    assert isinstance(MGDGenerator(4, 4).align, nn.Identity)
    assert MGDGenerator(4, 6)(torch.randn(2, 4, 5, 3)).shape == (2, 6, 5, 3)


def test_a_masked_map_is_not_read() -> None:
    generator, features = MGDGenerator(4, 4), torch.randn(2, 4, 5, 3)
    nothing = torch.zeros(2, 4, 1, 1)
    assert generator(features, nothing).equal(generator(2 * features, nothing))
    assert not generator(features, 1 - nothing).equal(generator(2 * features, 1 - nothing))


def test_masks_come_from_the_default_generator() -> None:
    generator, features = MGDGenerator(4, 4, ratio=0.5, mask="position"), torch.randn(2, 4, 5, 3)
    torch.manual_seed(0)
    first = generator(features)
    assert not generator(features).equal(first)
    torch.manual_seed(0)
    assert generator(features).equal(first)
