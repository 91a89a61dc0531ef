from __future__ import annotations

import pytest
import torch

from oracles.wkd_l import wkd_l_cost as by_loops
from tutelage.errors import TutelageError
from tutelage.losses import target_class_loss, wkd_l_cost, wkd_l_loss, wkd_l_transport_loss


@pytest.mark.parametrize("sharpen", [0.0, 1.0, 2.5])
def test_cost_is_the_oracles(sharpen: float) -> None:
    prototypes = torch.randn(5, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    expected = torch.tensor(by_loops(prototypes.tolist(), sharpen), dtype=torch.float64)
    torch.testing.assert_close(wkd_l_cost(prototypes, sharpen=sharpen), expected)


def test_moving_to_a_similar_class_costs_less() -> None:
    cost = wkd_l_cost(torch.tensor([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.9, 0.1, 0.0], [0.0, 1.0, 0.0]]))
    labels, teacher = torch.tensor([0]), torch.tensor([[0.0, 9.0, 0.0, 0.0]])
    similar, other = torch.tensor([[0.0, 0.0, 9.0, 0.0]]), torch.tensor([[0.0, 0.0, 0.0, 9.0]])
    losses = [wkd_l_transport_loss(s, teacher, labels, cost=cost, temperature=1.0).item() for s in (similar, other)]
    assert losses[0] < 0.5 * losses[1]


def test_distance_ignores_the_label() -> None:
    student, teacher = torch.randn(2, 4, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    labels, cost = torch.tensor([0, 1, 2, 3]), wkd_l_cost(torch.eye(6, 3, dtype=torch.float64))
    expected = wkd_l_transport_loss(student, teacher, labels, cost=cost).item()
    student[torch.arange(4), labels] += 50
    assert wkd_l_transport_loss(student, teacher, labels, cost=cost).item() == pytest.approx(expected)
    without = wkd_l_loss(student, teacher, labels, cost=cost, weight=0.0).item()
    assert without == pytest.approx(target_class_loss(student, teacher, labels).item())


def test_thousands_of_classes_share_one_kernel() -> None:
    """A copy of the cost for each sample would take 4 GB."""
    generator = torch.Generator().manual_seed(0)
    student, teacher = torch.randn(2, 256, 2000, generator=generator)
    cost = wkd_l_cost(torch.randn(2000, 16, generator=generator))
    leaf = student.requires_grad_()
    wkd_l_loss(leaf, teacher, torch.arange(256), cost=cost, iterations=2).backward()
    assert leaf.grad is not None and leaf.grad.isfinite().all()


def test_cost_must_fit_the_classes() -> None:
    with pytest.raises(TutelageError, match=r"cost of shape \(4, 4\) does not fit 3 classes"):
        wkd_l_loss(torch.zeros(1, 3), torch.zeros(1, 3), torch.tensor([0]), cost=torch.zeros(4, 4))
