from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck

from oracles.attention import attention_row
from tutelage.errors import TutelageError
from tutelage.losses import attention_loss, attention_map, attention_match, attention_target, gradient_attention_loss


@pytest.mark.parametrize("reduce", ["sum", "max"])
@pytest.mark.parametrize("p", [1, 2, 2.5, 3, 4])
def test_map_is_the_oracles(p: float, reduce: str) -> None:
    features = torch.randn(2, 5, 3, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    expected = [attention_row(sample, p, reduce) for sample in features.tolist()]
    assert torch.allclose(attention_map(features, p, reduce), torch.tensor(expected, dtype=torch.float64), atol=1e-12)


def test_map_ignores_scale_and_number_of_channels() -> None:
    features = torch.rand(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    same = torch.cat([7 * features, 7 * features], dim=1)
    assert torch.allclose(attention_map(features), attention_map(same), atol=1e-6)
    assert torch.allclose(attention_map(features).norm(dim=1), torch.ones(2))


def test_map_of_nothing_is_zero() -> None:
    assert attention_map(torch.zeros(1, 3, 4, 4)).equal(torch.zeros(1, 16))


def test_reduction_reaches_both_halves() -> None:
    student, teacher = torch.rand(2, 2, 3, 4, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    target = attention_target(teacher, (2, 2), reduce="max")
    loss = attention_match(student, target, (2, 2), reduce="max")
    pooled_s, pooled_t = (torch.nn.functional.avg_pool2d(f, 2) for f in (student, teacher))
    expected = (attention_map(pooled_s, reduce="max") - attention_map(pooled_t, reduce="max")).square().mean()
    assert loss.item() == pytest.approx(expected.item())


def test_paper_form_has_no_nan_gradient_where_maps_agree() -> None:
    features = torch.rand(2, 3, 4, 4, requires_grad=True)
    attention_loss(features, features.detach().clone(), form="paper").backward()
    assert features.grad is not None and features.grad.isfinite().all()


def test_errors_name_the_way_out() -> None:
    with pytest.raises(TutelageError, match="size"):
        attention_match(torch.rand(2, 3, 4, 4), attention_target(torch.rand(2, 3, 8, 8)))
    with pytest.raises(TutelageError, match=r"\(B, C, H, W\).*\(2, 17, 8\)"):
        attention_loss(torch.rand(2, 17, 8), torch.rand(2, 3, 4, 4))
    with pytest.raises(TutelageError, match="p = 0.5"):
        attention_map(torch.rand(2, 3, 4, 4), p=0.5)
    with pytest.raises(TutelageError, match="unknown attention form 'cod'"):
        attention_loss(torch.rand(2, 3, 4, 4), torch.rand(2, 3, 4, 4), form="cod")  # type: ignore[arg-type]
    with pytest.raises(TutelageError, match="unknown attention reduction"):
        attention_map(torch.rand(2, 3, 4, 4), reduce="mean")  # type: ignore[arg-type]


def test_gradient_attention_trains_the_student_through_its_gradient() -> None:
    """A linear classifier's J is (p − y)ᵀW in closed form; the loss differentiates it once more, by W."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(2, 3, 2, 2, generator=generator, dtype=torch.float64)
    weight, teacher_weight = torch.randn(2, 4, 12, generator=generator, dtype=torch.float64)
    labels = torch.tensor([1, 3])

    def saliency(weight: Tensor) -> Tensor:
        leaf = images.clone().requires_grad_()
        loss = torch.nn.functional.cross_entropy(leaf.flatten(1) @ weight.T, labels, reduction="sum")
        return torch.autograd.grad(loss, leaf, create_graph=True)[0]

    def closed_form(weight: Tensor) -> Tensor:
        probabilities = (images.flatten(1) @ weight.T).softmax(1)
        return (probabilities - torch.nn.functional.one_hot(labels, 4)) @ weight

    expected = (closed_form(weight) - closed_form(teacher_weight)).square().sum() / (2 * 2)
    loss = gradient_attention_loss(saliency(weight), saliency(teacher_weight))
    assert loss.item() == pytest.approx(expected.item())
    assert gradcheck(lambda w: gradient_attention_loss(saliency(w), saliency(teacher_weight)), weight.requires_grad_())


def test_by_hand() -> None:
    # Two channels, two positions: Σ_c F² is (9, 16), (1, 0); unit vectors (9, 16)/√337 and (1, 0).
    teacher = torch.tensor([[[[3.0, 0.0]], [[0.0, 4.0]]]], dtype=torch.float64)
    student = torch.tensor([[[[-1.0, 0.0]]]], dtype=torch.float64)
    first, second = 1 - 9 / 337**0.5, 16 / 337**0.5
    assert attention_map(teacher).tolist() == [pytest.approx([9 / 337**0.5, second])]
    assert attention_loss(student, teacher).item() == pytest.approx((first**2 + second**2) / 2)
    assert attention_loss(student, teacher, form="paper").item() == pytest.approx((first**2 + second**2) ** 0.5 / 2)
    # The larger of the channels, to the first power: (3, 4)/5.
    assert attention_map(teacher, p=1, reduce="max").tolist() == [pytest.approx([0.6, 0.8])]
