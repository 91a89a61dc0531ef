"""The connector of NORM expands to N teacher widths and restores the student's, without a nonlinearity."""

from __future__ import annotations

import torch

from tutelage.connectors import NormConnector


def test_the_connector_is_affine_in_evaluation() -> None:
    connector = NormConnector(4, 6, count=3)
    connector(torch.randn(8, 4, 5, 3))
    connector.eval()
    a, b = torch.randn(2, 2, 4, 5, 3)
    for whole, first, second in zip(connector((a + b) / 2), connector(a), connector(b)):
        assert torch.allclose(whole, (first + second) / 2, atol=1e-5)
    restored, expanded = connector(a)
    assert restored.shape == a.shape and expanded.shape == (2, 18, 5, 3)
