"""The projector of VkD is orthogonal, and stays so while it is trained."""

from __future__ import annotations

import pytest
import torch

from tutelage.connectors import orthogonal_projector


@pytest.mark.parametrize(("student", "teacher"), [(5, 8), (8, 5), (6, 6)])
def test_a_step_of_training_keeps_the_weight_orthogonal(student: int, teacher: int) -> None:
    projector = orthogonal_projector(student, teacher)
    before = projector.weight.detach().clone()
    optimizer = torch.optim.SGD(projector.parameters(), lr=0.5)
    projector(torch.randn(4, student)).square().mul(torch.arange(teacher)).sum().backward()
    optimizer.step()
    weight = projector.weight.detach()
    narrow = weight if teacher < student else weight.T
    assert torch.allclose(narrow @ narrow.T, torch.eye(min(student, teacher)), atol=1e-5)
    assert not torch.allclose(weight, before, atol=1e-3)
