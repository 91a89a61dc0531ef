"""Losses on logits of confident networks, where the official code of several methods gives inf or NaN."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from losses.cases import CASES, Case

ON_LOGITS = [case for case in CASES if len(case.students[0]) == len(case.teachers[0]) == 2]


def confident(case: Case) -> tuple[Tensor, Tensor]:
    """Logits of 60 for one class a sample and −60 for the others; both networks agree on half of the samples."""
    batch, classes = case.students[0]
    chosen = torch.arange(batch) % classes
    teacher = torch.where(torch.nn.functional.one_hot(chosen, classes).bool(), 60.0, -60.0)
    return torch.cat([teacher[: batch // 2], teacher[batch // 2 :].roll(1, dims=1)]), teacher


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("case", ON_LOGITS, ids=lambda case: case.name)
def test_logits_of_60_give_the_exact_loss_and_a_finite_gradient(case: Case, dtype: torch.dtype) -> None:
    student, teacher = confident(case)
    exact = case.loss(student.double(), teacher.double(), *case.labels).item()
    leaf = student.to(dtype).requires_grad_()
    loss = case.loss(leaf, teacher.to(dtype), *case.labels)
    loss.backward()
    assert loss.item() == pytest.approx(exact, rel=1e-4, abs=1e-6)
    assert leaf.grad is not None and leaf.grad.isfinite().all()
