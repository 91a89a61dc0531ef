"""The learning rate's factor: its bounds, its warm-up, its end, and its milestones, for any settings."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tutelage.terms import Schedule
from tutelage.training.loop.schedule import lr_factor, restarts

NAMES = ("cosine", "one_cycle", "step", "constant")
PER_EPOCH = st.integers(1, 50)
EPOCHS = st.integers(1, 30)


@st.composite
def schedules(draw: Any, names: tuple[str, ...] = NAMES) -> tuple[int, int, Schedule]:
    """(steps, steps per epoch, settings)."""
    epochs, per_epoch = draw(EPOCHS), draw(PER_EPOCH)
    chosen = Schedule(
        name=draw(st.sampled_from(names)),
        warmup=draw(st.floats(0, epochs)),
        milestones=tuple(sorted(draw(st.lists(st.floats(0, epochs), max_size=4)))),
        gamma=draw(st.floats(0.01, 1)),
        rise=draw(st.floats(0.01, 0.99)),
        restart=draw(st.booleans()),
    )
    return epochs * per_epoch, per_epoch, chosen


def factors(case: tuple[int, int, Schedule]) -> list[float]:
    steps, per_epoch, chosen = case
    return [lr_factor(step, steps, per_epoch, chosen) for step in range(steps)]


def after_warmup(case: tuple[int, int, Schedule]) -> list[float]:
    _, per_epoch, chosen = case
    return [value for step, value in enumerate(factors(case)) if step >= chosen.warmup * per_epoch]


@settings(max_examples=200, derandomize=True, deadline=None)
@given(schedules())
def test_it_is_within_its_bounds_at_every_step(case: tuple[int, int, Schedule]) -> None:
    assert all(0 < value <= 1 for value in factors(case))


@settings(max_examples=200, derandomize=True, deadline=None)
@given(schedules())
def test_warmup_rises_in_equal_steps(case: tuple[int, int, Schedule]) -> None:
    _, per_epoch, chosen = case
    rising = factors(case)[: len(factors(case)) - len(after_warmup(case))]
    length = chosen.warmup * per_epoch
    assert rising == pytest.approx([(step + 1) / (length + 1) for step in range(len(rising))])
    assert rising == sorted(rising) and all(value <= 1 for value in rising)


@settings(max_examples=100, derandomize=True, deadline=None)
@given(schedules(names=("cosine",)))
def test_a_cosine_falls_from_the_peak_towards_nothing(case: tuple[int, int, Schedule]) -> None:
    steps, per_epoch, chosen = case
    values = after_warmup(case)
    assert values == sorted(values, reverse=True)
    if chosen.warmup == 0:
        assert values[0] == 1
    length = max(1.0, steps - chosen.warmup * per_epoch)
    if values:
        assert values[-1] <= (3.15 / length) ** 2 / 2 + 1e-9  # 1 - cos x <= x²/2, a step or less before the end


@settings(max_examples=100, derandomize=True, deadline=None)
@given(schedules(names=("one_cycle",)))
def test_one_cycle_rises_to_the_peak_once_and_falls(case: tuple[int, int, Schedule]) -> None:
    values = after_warmup(case)
    if not values:
        return
    peak = values.index(max(values))
    assert values[:peak] == sorted(values[:peak]) and values[peak:] == sorted(values[peak:], reverse=True)
    assert values[0] >= 1 / 25 or len(values) == 1 or peak == 0
    assert min(values) >= 1 / 250_000


@settings(max_examples=100, derandomize=True, deadline=None)
@given(schedules(names=("step",)))
def test_steps_fall_at_their_milestones_and_nowhere_else(case: tuple[int, int, Schedule]) -> None:
    steps, per_epoch, chosen = case
    for step in range(steps):
        if step >= chosen.warmup * per_epoch:
            passed = sum(milestone * per_epoch <= step for milestone in chosen.milestones)
            assert lr_factor(step, steps, per_epoch, chosen) == pytest.approx(chosen.gamma**passed)
    again = [step for step in range(steps) if restarts(step, per_epoch, chosen)]
    fallen = {next(step for step in range(steps + 1) if step >= m * per_epoch) for m in chosen.milestones} - {steps}
    assert set(again) == (fallen if chosen.restart else set())


@settings(max_examples=50, derandomize=True, deadline=None)
@given(schedules(names=("constant",)))
def test_a_constant_is_one_after_its_warmup(case: tuple[int, int, Schedule]) -> None:
    assert set(after_warmup(case)) <= {1.0}


@settings(max_examples=100, derandomize=True, deadline=None)
@given(schedules(), st.integers(1, 5))
def test_it_is_a_function_of_the_share_that_is_done(case: tuple[int, int, Schedule], times: int) -> None:
    """More and smaller steps an epoch leave the curve where it is, but for the first steps of a warm-up."""
    steps, per_epoch, chosen = case
    for step in range(steps):
        if step >= chosen.warmup * per_epoch:
            finer = lr_factor(step * times, steps * times, per_epoch * times, chosen)
            assert finer == pytest.approx(lr_factor(step, steps, per_epoch, chosen), abs=1e-6)
