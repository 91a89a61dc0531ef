"""The part that NORM adds expands to N teacher widths and restores the student's, without a nonlinearity."""

from __future__ import annotations

import torch

from tutelage.models import NormExpansion


def test_the_part_is_affine_in_evaluation() -> None:
    part = NormExpansion(4, 6, count=3)
    part(torch.randn(8, 4, 5, 3))
    part.eval()
    a, b = torch.randn(2, 2, 4, 5, 3)
    assert torch.allclose(part((a + b) / 2), (part(a) + part(b)) / 2, atol=1e-5)
    assert part(a).shape == a.shape and part.expand(a).shape == (2, 18, 5, 3)
