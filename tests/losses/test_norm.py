"""NORM: normalized logits keep the prediction, and every representation counts."""

from __future__ import annotations

import pytest
import torch

from tutelage.errors import TutelageError
from tutelage.losses import norm_logits, norm_loss


def test_normalized_logits_keep_the_prediction_and_forget_scale_and_offset() -> None:
    logits = torch.randn(16, 10, dtype=torch.float64)
    normalized = norm_logits(logits)
    assert normalized.argmax(1).equal(logits.argmax(1))
    assert torch.allclose(norm_logits(7 * logits + 3), normalized, atol=1e-5)


@pytest.mark.parametrize("logits", [torch.full((2, 5), 60.0), torch.tensor([[60.0, -60.0], [-60.0, 60.0]])])
def test_equal_and_extreme_logits_have_a_finite_gradient(logits: torch.Tensor) -> None:
    (gradient,) = torch.autograd.grad(norm_logits(logits.requires_grad_())[:, 0].sum(), logits)
    assert gradient.isfinite().all()


def test_representations_add_up() -> None:
    first, second, teacher = torch.randn(3, 2, 4, 3, 3)
    both = norm_loss(torch.cat([first, second], dim=1), teacher)
    assert both.item() == pytest.approx((norm_loss(first, teacher) + norm_loss(second, teacher)).item(), rel=1e-6)


def test_a_map_that_was_not_expanded_is_refused() -> None:
    with pytest.raises(TutelageError, match="6 channels are not a multiple of the teacher's 4; expand"):
        norm_loss(torch.zeros(2, 6, 3, 3), torch.zeros(2, 4, 3, 3))
