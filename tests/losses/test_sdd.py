"""SDD: regions of the last map, what counts twice, and extreme logits."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tutelage.errors import TutelageError
from tutelage.losses import dkd_loss, kd_loss, region_logits, sdd_loss, sdd_nkd_loss
from tutelage.losses.sdd import LogitLoss

CLASSES = torch.eye(3)


def squared(student: Tensor, teacher: Tensor, labels: Tensor) -> Tensor:
    return (student - teacher).square().sum(1).mean()


def test_a_region_is_the_mean_of_its_window() -> None:
    features = torch.randn(2, 3, 5, 6)
    logits = region_logits(features, CLASSES, sizes=(1, 2))
    assert torch.allclose(logits[:, 0], features.mean((2, 3)), atol=1e-6)
    assert torch.allclose(logits[:, 2], features[:, :, :3, 3:].mean((2, 3)), atol=1e-6)
    by_grid = region_logits(features, CLASSES, sizes=(1, 2), grid=4)
    assert not torch.allclose(by_grid[:, 0], logits[:, 0], atol=1e-3)


def test_a_region_counts_twice_where_the_teacher_is_right_about_it_or_the_image_alone() -> None:
    student = torch.zeros(2, 3, 3)
    teacher = torch.stack([CLASSES[[0, 0, 1]], CLASSES[[2, 1, 2]]])
    labels = torch.tensor([0, 1])
    # image 0 is right, its last region is wrong; image 1 is wrong, its second region is right
    assert sdd_loss(student, teacher, labels, loss=squared).item() == pytest.approx((4 + 4) / 6)


@pytest.mark.parametrize("loss", [lambda ours, theirs, _: kd_loss(ours, theirs), dkd_loss, sdd_nkd_loss])
@pytest.mark.filterwarnings("error")  # torch warns where vmap has to loop over the regions
def test_all_regions_are_compared_at_once(loss: LogitLoss) -> None:
    student = torch.randn(2, 5, 3, requires_grad=True)
    sdd_loss(student, torch.randn(2, 5, 3), torch.tensor([1, -1]), loss=loss).backward()
    assert student.grad is not None and student.grad[0].any() and not student.grad[1].any()


def test_extreme_logits_have_a_finite_loss_and_gradient() -> None:
    student = torch.tensor([[60.0, -60.0, 0.0]]).expand(2, 5, 3).clone().requires_grad_()
    labels = torch.tensor([1, 2])
    for loss in (sdd_nkd_loss, lambda ours, theirs, _: kd_loss(ours, theirs)):
        value = sdd_loss(student, -student.detach(), labels, loss=loss)
        (gradient,) = torch.autograd.grad(value, student)
        assert value.isfinite() and gradient.isfinite().all()


def test_errors_name_the_remedy() -> None:
    with pytest.raises(TutelageError, match=r"sizes \[2, 4\] must start with 1"):
        region_logits(torch.zeros(2, 3, 4, 4), CLASSES, sizes=(2, 4))
    with pytest.raises(TutelageError, match="at least as large as the largest size"):
        sdd_loss(torch.zeros(2, 5, 3), torch.zeros(2, 21, 3), torch.zeros(2, dtype=torch.int64), loss=squared)
    with pytest.raises(TutelageError, match="temperature 0 must be positive"):
        sdd_nkd_loss(torch.zeros(2, 3), torch.zeros(2, 3), torch.zeros(2, dtype=torch.int64), temperature=0)
