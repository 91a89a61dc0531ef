from __future__ import annotations

import pytest
import torch

from tutelage.errors import TutelageError
from tutelage.losses import kd_loss, skd_loss


def logits() -> tuple[torch.Tensor, torch.Tensor]:
    student, teacher = torch.randn(2, 8, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return student, teacher


@pytest.mark.parametrize("form", ["code", "paper"])
def test_equal_networks_have_no_loss_and_no_gradient(form: str) -> None:
    student, _ = logits()
    leaf = student.clone().requires_grad_()
    loss = skd_loss(leaf, student, form=form)  # type: ignore[arg-type]
    loss.backward()
    assert loss.item() == pytest.approx(0, abs=1e-12)
    assert leaf.grad is not None and leaf.grad.abs().max() < 1e-12


def test_one_sample_has_no_relations() -> None:
    student, teacher = (tensor[:1] for tensor in logits())
    assert skd_loss(student, teacher, form="paper").item() == pytest.approx(kd_loss(student, teacher).item() / 16)


def test_large_ridge_leaves_the_length_of_the_difference() -> None:
    student, teacher = logits()
    kd = kd_loss(student, teacher).item() / 16
    unit_s, unit_t = (torch.nn.functional.normalize(tensor, dim=1) for tensor in (student, teacher))
    length = (unit_s @ unit_s.T - unit_t @ unit_t.T).norm(dim=1).mean().item()
    assert skd_loss(student, teacher, ridge=1e8, form="paper").item() == pytest.approx(kd + length * 1e-4, rel=1e-6)


def test_bad_settings_are_named() -> None:
    with pytest.raises(TutelageError, match="unknown skd form 'papers'"):
        skd_loss(*logits(), form="papers")  # type: ignore[arg-type]
    with pytest.raises(TutelageError, match="ridge 0 must be positive"):
        skd_loss(*logits(), ridge=0)
