"""The connector of OFD keeps signs and starts as the authors' does."""

from __future__ import annotations

import torch

from tutelage.connectors import ofd_connector


def test_channels_are_mapped_and_signs_kept() -> None:
    connector = ofd_connector(8, 200)
    out = connector(torch.randn(4, 8, 5, 6))
    assert out.shape == (4, 200, 5, 6)
    assert out.min() < 0 < out.max() and abs(out.mean().item()) < 1e-5
    assert connector[0].bias is None and len(connector) == 2


def test_the_convolution_starts_from_two_over_the_teachers_channels() -> None:
    weight = ofd_connector(64, 200)[0].weight
    assert abs(weight.std().item() - (2 / 200) ** 0.5) < 0.003 and abs(weight.mean().item()) < 0.003
