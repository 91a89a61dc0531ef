"""The connector of ViTKD hides masked tokens and needs a square grid."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tutelage.connectors import ViTKDConnector
from tutelage.errors import TutelageError


def test_masked_tokens_are_not_read() -> None:
    connector, early, last = ViTKDConnector(6, 8), torch.randn(2, 2, 9, 6), torch.randn(2, 9, 6)
    mask = torch.tensor([True] * 4 + [False] * 5).expand(2, 9)
    changed = torch.where(mask[:, :, None], last + 1, last)
    assert connector(*early, last, mask=mask)[1].equal(connector(*early, changed, mask=mask)[1])
    assert not connector(*early, last, mask=~mask)[1].equal(connector(*early, changed, mask=~mask)[1])


def test_equal_widths_need_no_alignment() -> None:
    assert isinstance(ViTKDConnector(6, 6).align_high, nn.Identity)


def test_a_class_token_is_refused() -> None:
    with pytest.raises(TutelageError, match="10 tokens are not a square grid; drop the class token"):
        ViTKDConnector(6, 8)(*torch.randn(3, 2, 10, 6))
