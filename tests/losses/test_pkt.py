"""What is special about PKT: opposite samples, of which one is no neighbor of the other at all."""

from __future__ import annotations

import torch

from tutelage.losses import pkt_loss


def test_opposite_samples_stay_finite() -> None:
    student = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [-3.0, 0.0]], requires_grad=True)
    loss = pkt_loss(student, torch.tensor([[1.0], [1.0], [1.0]]))
    loss.backward()
    assert loss.item() > 1  # the student denies what the teacher says: (1/3) log((1/3) / 1e-7) is about 5
    assert student.grad is not None and student.grad.isfinite().all()


def test_scale_of_a_sample_does_not_matter() -> None:
    student, teacher = torch.randn(2, 5, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    scales = torch.tensor([[1.0], [2.0], [3.0], [4.0], [5.0]])
    torch.testing.assert_close(pkt_loss(scales * student, teacher), pkt_loss(student, teacher), atol=1e-7, rtol=0)
