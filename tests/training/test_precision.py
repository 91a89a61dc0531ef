"""Choosing a precision leaves no trace."""

from __future__ import annotations

import torch

from harness.cases import CASES, batch, build
from tutelage.training.precision import choose_precision
from tutelage.training.timing import Trial


def test_weights_buffers_gradients_and_random_state_stay() -> None:
    distiller = build(CASES[1]).train()
    images, labels = batch(4)
    before = {name: value.clone() for name, value in distiller.state_dict().items()}
    drawn = torch.get_rng_state()
    trial = Trial(images, labels)
    chosen = choose_precision(distiller, trial)
    assert trial.student_seconds(distiller, "fp32") > 0
    assert chosen in ("fp32", "bf16")
    assert all(torch.equal(value, before[name]) for name, value in distiller.state_dict().items())
    assert torch.equal(drawn, torch.get_rng_state())
    assert all(parameter.grad is None for parameter in distiller.parameters())
