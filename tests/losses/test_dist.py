from __future__ import annotations

import pytest
import torch

from tutelage.losses import dist_loss


def logits() -> tuple[torch.Tensor, torch.Tensor]:
    student, teacher = torch.randn(2, 6, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return student, teacher


def test_range_of_the_correlations() -> None:
    student, _ = logits()
    assert dist_loss(student, student, temperature=1.0).item() == pytest.approx(0, abs=1e-5)
    two = student[:, :2]
    assert dist_loss(two, -two, temperature=1.0).item() == pytest.approx(4, abs=1e-5)  # both correlations are −1


def test_one_sample_has_no_relation_to_others() -> None:
    student, teacher = (tensor[:1] for tensor in logits())
    alone = dist_loss(student, teacher, gamma=0.0, temperature=1.0).item()
    assert dist_loss(student, teacher, temperature=1.0).item() == pytest.approx(alone + 1)


@pytest.mark.parametrize("value", [0.0, 0.1, 40.0])
def test_constant_student_gets_no_gradient(value: float) -> None:
    leaf = torch.full((8, 1000), value, requires_grad=True)
    dist_loss(leaf, torch.randn(8, 1000, generator=torch.Generator().manual_seed(0))).backward()
    assert leaf.grad is not None and leaf.grad.abs().max() == 0
