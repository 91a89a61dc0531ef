from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from tutelage.distillation import task_loss

DRAW = torch.Generator().manual_seed(0)
LOGITS = 4 * torch.randn(6, 5, generator=DRAW, dtype=torch.float64)
HARD = torch.tensor([4, 0, -1, 2, 2, -1])
SOFT = torch.tensor(
    [
        [0.0, 0.75, 0.25, 0.0, 0.0],
        [0.0, 0.0, 0.0, 0.0, 1.0],
        [0.6, 0.0, 0.0, 0.0, 0.0],  # mixed with an unlabelled image
        [0.0, 0.0, 0.0, 0.0, 0.0],  # both unlabelled
        [0.1, 0.2, 0.3, 0.2, 0.2],
        [0.0, 0.0, 0.0, 0.4, 0.0],
    ],
    dtype=torch.float64,
)


def naive(logits: Tensor, labels: Tensor, smoothing: float) -> float:
    total = mass = 0.0
    for row, weights in zip(logits.tolist(), labels.tolist()):
        log_sum = math.log(sum(math.exp(value) for value in row))
        for value, weight in zip(row, weights):
            smooth = (1 - smoothing) * weight + smoothing * sum(weights) / len(row)
            total -= smooth * (value - log_sum)
            mass += weight
    return total / mass


def one_hot(labels: Tensor) -> Tensor:
    return (labels.unsqueeze(1) == torch.arange(5)).double()


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_soft_labels_equal_plain_loops(smoothing: float) -> None:
    assert task_loss(LOGITS, SOFT, smoothing).item() == pytest.approx(naive(LOGITS, SOFT, smoothing), rel=1e-12)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_one_hot_rows_give_what_hard_labels_give(smoothing: float) -> None:
    hard = task_loss(LOGITS, HARD, smoothing)
    assert hard.item() == pytest.approx(naive(LOGITS, one_hot(HARD), smoothing), rel=1e-12)
    torch.testing.assert_close(task_loss(LOGITS, one_hot(HARD), smoothing), hard, rtol=1e-12, atol=0)


def test_gradient_of_soft_labels() -> None:
    logits = LOGITS.clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: task_loss(x, SOFT, 0.1), logits)


@pytest.mark.parametrize("labels", [torch.full((6,), -1), torch.zeros(6, 5)], ids=["hard", "soft"])
def test_a_batch_without_labels_gives_zero_and_no_gradient(labels: Tensor) -> None:
    logits = LOGITS.float().requires_grad_()
    loss = task_loss(logits, labels, 0.1)
    loss.backward()
    assert loss.item() == 0
    assert logits.grad is not None and not logits.grad.any()


@pytest.mark.parametrize("labels", [HARD, SOFT.float()], ids=["hard", "soft"])
def test_half_precision_logits_are_summed_in_float32(labels: Tensor) -> None:
    half = LOGITS.bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        loss = task_loss(half, labels)
    assert loss.dtype == torch.float32
    assert torch.equal(loss, task_loss(half.float(), labels))
