"""What is special about PEFD: projections that are all zero, and projectors that differ."""

from __future__ import annotations

import pytest
import torch

from tutelage.connectors import ProjectorEnsemble
from tutelage.errors import TutelageError
from tutelage.losses import pefd_loss


def test_a_dead_projection_gets_no_gradient() -> None:
    student = torch.tensor([[0.0, 0.0], [1.0, 0.0]], requires_grad=True)
    loss = pefd_loss(student, torch.tensor([[1.0, 0.0], [0.0, 1.0]]))
    loss.backward()
    assert loss.item() == 1
    assert student.grad is not None and student.grad.isfinite().all() and not student.grad[0].any()


def test_projectors_start_apart_and_are_averaged() -> None:
    ensemble = ProjectorEnsemble(4, 6, projectors=2)
    first, second = ensemble.projectors
    assert not first.weight.equal(second.weight)
    embeddings = torch.randn(3, 4)
    torch.testing.assert_close(ensemble(embeddings), (first(embeddings).relu() + second(embeddings).relu()) / 2)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(TutelageError, match=r"pefd: .*\(2, 3\).*\(2, 4\).*projectors"):
        pefd_loss(torch.zeros(2, 3), torch.zeros(2, 4))
    with pytest.raises(TutelageError, match="projectors = 0"):
        ProjectorEnsemble(3, 4, projectors=0)
