from __future__ import annotations

import pytest
import torch

from tutelage.losses import wsld_loss


def test_sample_the_student_has_learned_better_than_the_teacher_counts_little() -> None:
    teacher, labels = torch.tensor([[0.0, 1.0]]), torch.tensor([0])
    learned, not_learned = torch.tensor([[9.0, 0.0]]), torch.tensor([[0.0, 9.0]])
    soft = torch.nn.functional.cross_entropy(learned / 2, (teacher / 2).softmax(1)).item()
    ratio = 1.234e-4 / 1.3133  # cross-entropies with the label
    assert wsld_loss(learned, teacher, labels, alpha=1.0).item() == pytest.approx(4 * ratio * soft, rel=1e-3)
    soft = torch.nn.functional.cross_entropy(not_learned / 2, (teacher / 2).softmax(1)).item()
    assert wsld_loss(not_learned, teacher, labels, alpha=1.0).item() == pytest.approx(4 * soft, rel=2e-3)


def test_weight_gets_no_gradient() -> None:
    student = torch.tensor([[0.5, -0.5]], requires_grad=True)
    teacher, labels = torch.tensor([[1.0, 0.0]]), torch.tensor([0])
    wsld_loss(student, teacher, labels, alpha=1.0, temperature=1.0).backward()
    weight = 1 - torch.exp(torch.log_softmax(student, 1)[0, 0] / -torch.log_softmax(teacher, 1)[0, 0])
    assert student.grad is not None
    torch.testing.assert_close(student.grad, weight.item() * (student.softmax(1) - teacher.softmax(1)).detach())
