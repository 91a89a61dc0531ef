from __future__ import annotations

import pytest
import torch

from tutelage.errors import TutelageError
from tutelage.losses import nst_loss, nst_match, nst_target


@pytest.mark.parametrize(
    ("channels", "options", "shape"),
    [
        (20, {}, (2, 16, 16)),
        (16, {}, (2, 16, 16)),
        (5, {}, (2, 5, 16)),
        (20, {"kernel": "linear"}, (2, 16)),
        (20, {"kernel": "gaussian"}, (2, 20, 16)),
        (20, {"offset": 1.0}, (2, 20, 16)),
    ],
)
def test_target_is_the_smallest_thing_needed(channels: int, options: dict, shape: tuple[int, ...]) -> None:
    assert nst_target(torch.rand(2, channels, 8, 8), (4, 4), **options).shape == shape


def test_polynomial_of_degree_two_is_a_distance_of_gram_matrices() -> None:
    student, teacher = torch.randn(2, 3, 6, 4, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    s, t = (torch.nn.functional.normalize(f.flatten(2), dim=2) for f in (student, teacher))
    expected = (t.mT @ t / 6 - s.mT @ s / 6).square().sum((1, 2)).mean()
    assert nst_loss(student, teacher).item() == pytest.approx(expected.item())


@pytest.mark.parametrize("kernel", ["linear", "polynomial", "gaussian"])
def test_order_and_scale_of_channels_do_not_matter(kernel: str) -> None:
    student, teacher = torch.randn(2, 3, 6, 4, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    scales = torch.tensor([0.5, 1, 2, 3, 4, 5], dtype=torch.float64)[:, None, None]
    assert nst_loss(student.flip(1) * scales, teacher, kernel).item() == pytest.approx(
        nst_loss(student, teacher, kernel).item()
    )


@pytest.mark.parametrize("kernel", ["linear", "polynomial", "gaussian"])
def test_dead_channel_gets_no_gradient_and_spoils_no_other(kernel: str) -> None:
    student, teacher = torch.rand(2, 2, 6, 4, 4, generator=torch.Generator().manual_seed(0))
    student[:, 2] = 0
    student.requires_grad_()
    nst_loss(student, teacher, kernel).backward()
    assert student.grad is not None
    assert student.grad[:, 2].abs().max() == 0
    assert 0 < student.grad.abs().max() < 1


def test_bandwidth_is_a_constant_of_the_gradient() -> None:
    student, teacher = torch.randn(2, 1, 6, 4, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    s, t = (torch.nn.functional.normalize(f.flatten(2), dim=2)[0] for f in (student, teacher))
    variance = torch.cdist(s, t).square().mean().item()
    gradients = []
    for bandwidth in (None, variance):
        leaf = student.clone().requires_grad_()
        nst_loss(leaf, teacher, "gaussian", bandwidth=bandwidth).backward()
        gradients.append(leaf.grad)
    assert torch.allclose(*gradients)


def test_gaussian_of_one_and_the_same_map_is_finite() -> None:
    one = torch.rand(1, 1, 4, 4, requires_grad=True)
    loss = nst_loss(one, one.detach().clone(), "gaussian")
    loss.backward()
    assert loss.item() == pytest.approx(0, abs=1e-5)
    assert one.grad is not None and one.grad.isfinite().all()


def test_errors_name_the_way_out() -> None:
    with pytest.raises(TutelageError, match="did you mean gaussian"):
        nst_loss(torch.rand(2, 3, 4, 4), torch.rand(2, 3, 4, 4), "gausian")  # type: ignore[arg-type]
    with pytest.raises(TutelageError, match="16 positions.*64.*size"):
        nst_match(torch.rand(2, 3, 4, 4), nst_target(torch.rand(2, 5, 8, 8)))
    with pytest.raises(TutelageError, match="B, C, H, W"):
        nst_loss(torch.rand(2, 3), torch.rand(2, 3, 4, 4))


def test_by_hand() -> None:
    # The student's one map points along the first position; the teacher's two along each of the two.
    student = torch.tensor([[[[5.0, 0.0]]]], dtype=torch.float64)
    teacher = torch.tensor([[[[2.0, 0.0]], [[0.0, 7.0]]]], dtype=torch.float64)
    # Kernel values: t·t = (1, 0; 0, 1), s·s = 1, s·t = (1, 0). MMD² = 1/2 + 1 − 2·1/2, for x·y and (x·y)².
    assert nst_loss(student, teacher, kernel="linear").item() == pytest.approx(0.5)
    assert nst_loss(student, teacher).item() == pytest.approx(0.5)
    # (x·y + 1)²: t·t = (4, 1; 1, 4), s·s = 4, s·t = (4, 1): 2.5 + 4 − 2·2.5.
    assert nst_loss(student, teacher, offset=1.0).item() == pytest.approx(1.5)
    # exp(−d²/2σ²) with d² = 0 or 2 and σ² their mean over s and t, 1: e = exp(−1).
    e = 2.718281828459045**-1
    assert nst_loss(student, teacher, kernel="gaussian").item() == pytest.approx((2 + 2 * e) / 4 + 1 - (1 + e))
