"""ViTKD: the mask hides the same number of tokens of each sample, at random."""

from __future__ import annotations

import pytest
import torch

from tutelage.errors import TutelageError
from tutelage.losses import vitkd_loss, vitkd_mask


def test_the_number_of_visible_tokens_is_rounded_down() -> None:
    mask = vitkd_mask(torch.zeros(50, 9, 3), ratio=0.5, generator=torch.Generator().manual_seed(0))
    assert mask.sum(1).eq(5).all()
    assert mask.any(0).all() and not mask.all(0).any()


def test_errors_name_the_remedy() -> None:
    tokens = torch.zeros(2, 4, 3)
    with pytest.raises(TutelageError, match="ratio 50 must be from 0 to 1"):
        vitkd_mask(tokens, ratio=50)
    low = torch.zeros(2, 2, 4, 3)
    with pytest.raises(TutelageError, match="align widths with `ViTKDConnector`"):
        vitkd_loss(low, tokens, vitkd_mask(tokens), low, torch.zeros(2, 4, 5))
