"""One golden case: inputs, hyperparameters, and what the official code gave for them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor, nn

FOLDER = Path(__file__).resolve().parents[2] / "golden"


@dataclass(frozen=True)
class GoldenCase:
    inputs: dict[str, Tensor]
    """All tensors of the file but the results; those with a gradient are leaves that require one."""
    params: dict[str, Any]
    losses: dict[str, Tensor]
    """``loss``, and its parts as ``loss.TERM``."""
    gradients: dict[str, Tensor]
    """Of ``loss`` with respect to inputs, by the input's name."""

    def numbered(self, name: str) -> list[Tensor]:
        """Return the inputs ``name.0``, ``name.1``, … in order."""
        keys = [key for key in self.inputs if key.rpartition(".")[0] == name and key.rpartition(".")[2].isdigit()]
        return [self.inputs[key] for key in sorted(keys, key=lambda key: int(key.rpartition(".")[2]))]


Form = Callable[[GoldenCase], Tensor | Mapping[str, Tensor]]
"""Computes a case: its loss, or a mapping with ``loss`` and any of the parts ``loss.TERM``."""


def read_case(path: Path) -> GoldenCase:
    with safe_open(path, "pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        params = json.loads(file.metadata()["params"])
    gradients = {name.removeprefix("grad."): value for name, value in tensors.items() if name.startswith("grad.")}
    losses = {name: value for name, value in tensors.items() if name == "loss" or name.startswith("loss.")}
    inputs = {
        name: value.requires_grad_() if name in gradients else value
        for name, value in tensors.items()
        if name not in losses and not name.startswith("grad.")
    }
    return GoldenCase(inputs, params, losses, gradients)


def with_weights(case: GoldenCase, module: nn.Module, names: Mapping[str, str], *inputs: Tensor) -> Any:
    """Return the module's output with the case's own weights, given the module's name of each part."""
    state = module.state_dict()
    weights = {}
    for theirs, ours in names.items():
        for name, value in case.inputs.items():
            own = ours + name.removeprefix(theirs)
            if name.startswith(theirs) and own in state:
                weights[own] = value
    return torch.func.functional_call(module.double(), weights, inputs)
