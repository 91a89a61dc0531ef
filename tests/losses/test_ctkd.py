from __future__ import annotations

import pytest
import torch

from tutelage.connectors import GlobalTemperature, InstanceTemperature
from tutelage.errors import TutelageError
from tutelage.losses import ctkd_loss, ctkd_strength, kd_loss


def logits() -> tuple[torch.Tensor, torch.Tensor]:
    student, teacher = torch.randn(2, 4, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return student, teacher


def test_temperature_of_each_sample() -> None:
    student, teacher = logits()
    temperatures = [1.0, 2.0, 4.0, 8.0]
    each = [kd_loss(student[i : i + 1], teacher[i : i + 1], t).item() for i, t in enumerate(temperatures)]
    assert ctkd_loss(student, teacher, torch.tensor(temperatures)).item() == pytest.approx(sum(each) / 4)
    with pytest.raises(TutelageError, match=r"temperature of shape \(3,\).*batch of 4"):
        ctkd_loss(student, teacher, torch.ones(3))


def test_descent_raises_the_loss_by_the_temperature() -> None:
    student, teacher = logits()
    module = GlobalTemperature().double()
    before = ctkd_loss(student, teacher, module(strength=-1.0))
    before.backward()
    with torch.no_grad():
        assert module.theta.grad is not None
        module.theta -= 0.1 * module.theta.grad / module.theta.grad.abs()
    assert ctkd_loss(student, teacher, module(strength=-1.0)).item() > before.item()


@pytest.mark.parametrize("strength", [0.0, -0.3, 1.0])
def test_strength_scales_the_gradient_of_the_module_alone(strength: float) -> None:
    student, teacher = logits()
    torch.manual_seed(0)
    module = InstanceTemperature(classes=7, hidden=5).double()
    leaf = student.clone().requires_grad_()

    def gradients(factor: float) -> list[torch.Tensor]:
        loss = ctkd_loss(leaf, teacher, module(leaf, teacher, factor))
        return list(torch.autograd.grad(loss, [leaf, *module.parameters()]))

    (ours, *scaled), (theirs, *plain) = gradients(strength), gradients(1.0)
    torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(scaled, [strength * gradient for gradient in plain])


def test_strength_falls_by_a_cosine() -> None:
    values = [ctkd_strength(epoch, epochs=4) for epoch in range(7)]
    assert values == pytest.approx([0.0, 2**-1.5 - 0.5, -0.5, -(2**-1.5) - 0.5, -1.0, -1.0, -1.0])
