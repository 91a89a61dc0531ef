from __future__ import annotations

import pytest
import torch

from tutelage.errors import TutelageError
from tutelage.losses import ensemble_target, kd_loss, kd_match, kd_target


def test_temperature_does_not_scale_the_gradient() -> None:
    """At high T the gradient tends to (z_s − z_t) / (B·K) of centred logits, whatever T is: what T² is for."""
    generator = torch.Generator().manual_seed(0)
    student, teacher = torch.randn(2, 3, 5, generator=generator, dtype=torch.float64)
    student, teacher = student - student.mean(1, keepdim=True), teacher - teacher.mean(1, keepdim=True)
    for temperature in (1e3, 1e4):
        leaf = student.clone().requires_grad_()
        kd_loss(leaf, teacher, temperature).backward()
        assert leaf.grad is not None
        assert torch.allclose(leaf.grad, (student - teacher) / (3 * 5), atol=5 / temperature)


def test_class_the_teacher_rules_out_adds_nothing() -> None:
    student = torch.tensor([[1.0, -1.0, 0.5]], requires_grad=True)
    ruled_out = torch.tensor([[0.3, 0.8, float("-inf")]])
    improbable = torch.tensor([[0.3, 0.8, -1e4]])
    loss = kd_loss(student, ruled_out)
    loss.backward()
    assert loss.item() == pytest.approx(kd_loss(student, improbable).item())
    assert student.grad is not None and student.grad.isfinite().all()


def test_large_logits_stay_finite() -> None:
    student, teacher = torch.tensor([[3e4, -3e4]]).half(), torch.tensor([[-3e4, 3e4]]).half()
    assert kd_loss(student, teacher, 1.0).item() == pytest.approx(6e4, rel=1e-3)


def test_one_target_serves_every_temperature() -> None:
    student, teacher = torch.randn(2, 4, 6, generator=torch.Generator().manual_seed(0))
    target = kd_target(teacher)
    assert all(kd_match(student, target, t).equal(kd_loss(student, teacher, t)) for t in (1.0, 4.0, 20.0))


def test_other_classes_are_refused_with_both_shapes() -> None:
    with pytest.raises(TutelageError, match=r"\(2, 10\).*\(2, 1000\).*class"):
        kd_loss(torch.zeros(2, 10), torch.zeros(2, 1000))


@pytest.mark.parametrize("temperature", [0.0, -1.0])
def test_temperature_must_be_positive(temperature: float) -> None:
    with pytest.raises(TutelageError, match="temperature"):
        kd_loss(torch.zeros(2, 3), torch.zeros(2, 3), temperature)


def test_ensembles_average_logits_or_probabilities() -> None:
    teachers = torch.randn(3, 4, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    torch.testing.assert_close(ensemble_target(teachers), teachers.mean(0))
    target = ensemble_target(teachers, temperature=2.0, average="probabilities")
    torch.testing.assert_close((target / 2).softmax(1), (teachers / 2).softmax(2).mean(0))
    alike = teachers[:1].expand(3, 4, 5)
    student = torch.randn(4, 5, dtype=torch.float64)
    for average in ("logits", "probabilities"):
        together = kd_match(student, ensemble_target(alike, 3.0, average), 3.0)
        torch.testing.assert_close(together, kd_loss(student, teachers[0], 3.0))
    with pytest.raises(TutelageError, match="unknown kd ensemble 'votes'"):
        ensemble_target(teachers, average="votes")  # type: ignore[arg-type]
