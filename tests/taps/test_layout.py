"""as_map: maps, tokens with prefixes and channels-last maps."""

from __future__ import annotations

import pytest
import torch

from tutelage.errors import TutelageError
from tutelage.taps import as_map


def test_keeps_maps() -> None:
    features = torch.randn(2, 5, 4, 6)
    assert as_map(features) is features
    square = torch.randn(2, 7, 7, 7)
    assert as_map(square) is square


@pytest.mark.parametrize("prefix", [0, 1, 2, 5])
def test_drops_prefix_tokens(prefix: int) -> None:
    grid = torch.randn(2, 7 * 7, 3)
    tokens = torch.cat([torch.full((2, prefix, 3), 9.0), grid], dim=1)
    features = as_map(tokens)
    assert features.shape == (2, 3, 7, 7)
    assert torch.equal(features[1, :, 2, 4], grid[1, 2 * 7 + 4])


def test_permutes_channels_last_maps() -> None:
    features = torch.randn(2, 7, 7, 96)
    assert torch.equal(as_map(features), features.permute(0, 3, 1, 2))


@pytest.mark.parametrize("shape", [(2, 13, 8), (2, 1000)])
def test_refuses_what_is_no_map(shape: tuple[int, ...]) -> None:
    with pytest.raises(TutelageError, match=str(shape[1])):
        as_map(torch.randn(shape))
