"""Means of the terms, and the watch for a loss that is not finite."""

from __future__ import annotations

import pytest
import torch

from tutelage.terms import Optimizer
from tutelage.training.loop.meters import Fault, Meters
from tutelage.training.loop.optimizer import build_optimizer


def values(ce: float, kd: float) -> dict[str, torch.Tensor]:
    return {"ce": torch.tensor(ce), "kd": torch.tensor(kd)}


def test_means() -> None:
    meters = Meters(["ce", "kd"], torch.device("cpu"))
    for step in (values(1.0, 4.0), values(3.0, 6.0)):
        meters.update(step)
        assert meters.stopped.item() == 0
    assert meters.fault() is None
    assert meters.means() == {"loss": 7.0, "ce": 2.0, "kd": 5.0}


def test_parts_count_by_their_share_of_the_batch() -> None:
    meters = Meters(["ce", "kd"], torch.device("cpu"))
    meters.update(values(1.0, 4.0), share=0.75)
    meters.update(values(3.0, 8.0), share=0.25)
    assert meters.means() == {"loss": 6.5, "ce": 1.5, "kd": 5.0}


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_the_first_bad_term_is_named_even_if_others_follow(bad: float) -> None:
    meters = Meters(["ce", "kd"], torch.device("cpu"))
    stopped = []
    for step in (values(1, 1), values(1, bad), values(bad, 1)):
        meters.update(step)
        stopped.append(meters.stopped.item())
        meters.end_step(meters.stopped)
    assert stopped == [0, 1, 1]
    assert meters.fault() == Fault(1, ["kd"])


@pytest.mark.parametrize("name", ["sgd", "adamw"])
def test_the_update_is_masked_where_the_flag_is_set(name: str) -> None:
    weight = torch.nn.Parameter(torch.ones(3))
    optimizer = build_optimizer([weight], Optimizer(name=name, lr=0.1))
    weight.grad = torch.ones(3)
    optimizer.found_inf = torch.zeros(())
    optimizer.step()
    before = weight.detach().clone()
    assert (before < 1).all() and torch.isfinite(before).all()
    weight.grad = torch.full((3,), float("nan"))
    optimizer.found_inf = torch.ones(())
    optimizer.step()
    assert torch.equal(weight, before)
