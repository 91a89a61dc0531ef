"""MGD: the random mask."""

from __future__ import annotations

import pytest
import torch

from tutelage.errors import TutelageError
from tutelage.losses import mgd_mask

FEATURES = torch.zeros(8, 200, 20, 10)


def test_a_mask_drops_its_share_of_channels_or_positions() -> None:
    generator = torch.Generator().manual_seed(0)
    channels = mgd_mask(FEATURES, ratio=0.3, generator=generator)
    positions = mgd_mask(FEATURES, ratio=0.3, mask="position", generator=generator)
    assert channels.shape == (8, 200, 1, 1) and positions.shape == (8, 1, 20, 10)
    for mask in (channels, positions):
        assert set(mask.unique().tolist()) == {0.0, 1.0}
        assert mask.mean().item() == pytest.approx(0.7, abs=0.05)


def test_a_generator_repeats_the_mask() -> None:
    first, second = (mgd_mask(FEATURES, generator=torch.Generator().manual_seed(3)) for _ in range(2))
    assert first.equal(second)
    assert not first.equal(mgd_mask(FEATURES, generator=torch.Generator().manual_seed(4)))


def test_nothing_and_everything_can_be_masked() -> None:
    assert mgd_mask(FEATURES, ratio=0).all() and not mgd_mask(FEATURES, ratio=1).any()


def test_errors_name_the_remedy() -> None:
    with pytest.raises(TutelageError, match="ratio 15 must be from 0 to 1"):
        mgd_mask(FEATURES, ratio=15)
    with pytest.raises(TutelageError, match="unknown mgd mask 'channels': did you mean channel"):
        mgd_mask(FEATURES, mask="channels")  # type: ignore[arg-type]
