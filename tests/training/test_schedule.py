"""The learning rate is a pure function of the step."""

from __future__ import annotations

import math

import pytest
import torch

from tutelage.terms import Schedule
from tutelage.training.loop.schedule import lr_factor, restarts


def factors(steps: int, per_epoch: int, **settings: object) -> list[float]:
    return [lr_factor(step, steps, per_epoch, Schedule(**settings)) for step in range(steps)]


def test_cosine_equals_torch() -> None:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=50)
    for value in factors(50, 10, name="cosine"):
        assert value == pytest.approx(optimizer.param_groups[0]["lr"], abs=1e-9)
        optimizer.step()
        scheduler.step()


def test_one_cycle_rises_to_the_peak_and_falls_to_nothing() -> None:
    values = factors(100, 10, name="one_cycle", rise=0.25)
    assert values[0] == pytest.approx(1 / 25)
    assert values[25] == pytest.approx(1.0) and max(values) == values[25]
    assert values[:26] == sorted(values[:26]) and values[25:] == sorted(values[25:], reverse=True)
    assert values[-1] < 0.001


def test_step_falls_at_the_milestones() -> None:
    values = factors(40, 10, name="step", milestones=(2, 3), gamma=0.1)
    assert values[19] == 1 and values[20] == pytest.approx(0.1) and values[30] == pytest.approx(0.01)


def test_warmup_rises_linearly_before_everything_else() -> None:
    values = factors(40, 10, name="cosine", warmup=1)
    differences = [later - earlier for earlier, later in zip(values[:9], values[1:10])]
    assert all(math.isclose(d, 1 / 11) for d in differences)
    assert values[10] == pytest.approx(1.0)
    assert factors(5, 5, name="constant") == [1.0] * 5


def test_momentum_restarts_at_the_milestones_where_asked() -> None:
    settings = {"name": "step", "milestones": (2, 3.25)}
    asked = Schedule(**settings, restart=True)
    assert [step for step in range(20) if restarts(step, 4, asked)] == [8, 13]
    assert not any(restarts(step, 4, Schedule(**settings)) for step in range(20))
    cosine = Schedule(name="cosine", milestones=(1,), restart=True)
    assert not any(restarts(step, 4, cosine) for step in range(9))
