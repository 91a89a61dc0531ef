"""Every loss reproduces what the official implementation of its method gives: values and gradients, in float64."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from losses.golden import FORMS
from losses.golden.case import FOLDER, read_case

FILES = sorted(FOLDER.glob("*.safetensors"))


@pytest.mark.parametrize("path", [path for path in FILES if path.name.partition(".")[0] in FORMS], ids=lambda p: p.stem)
def test_values_and_gradients_are_the_official_ones(path: Path) -> None:
    case = read_case(path)
    computed = FORMS[path.name.partition(".")[0]](case)
    values = computed if not isinstance(computed, torch.Tensor) else {"loss": computed}
    for name, value in values.items():
        expected = case.losses[name]
        assert torch.allclose(value.detach(), expected, rtol=1e-8, atol=1e-12), (name, value.item(), expected.item())
    names = list(case.gradients)
    inputs = [case.inputs[name] for name in names]
    found = torch.autograd.grad(values["loss"], inputs, allow_unused=True) if inputs else ()
    for name, gradient in zip(names, found):
        expected = case.gradients[name]
        gradient = torch.zeros_like(expected) if gradient is None else gradient
        largest = expected.abs().max().item()
        assert torch.allclose(gradient, expected, rtol=0, atol=1e-6 * largest + 1e-12), name
