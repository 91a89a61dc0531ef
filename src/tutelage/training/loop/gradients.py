"""What each term does to the student: how hard it pulls, and whether with the task or against it."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from tutelage.distillation import TASK

DROWNED = 100.0
"""A term this many times as large as the cross-entropy leaves it little to say."""


class GradientWatch:
    """Means over an epoch's looks of ‖∂L_i/∂θ‖ for each weighted term L_i, θ being what is trained of the student,
    and of its cosine with the gradient of the cross-entropy, where there is one.

    Several processes each look at their own part of the batch, and the first one's figures count.
    """

    def __init__(self, student: nn.Module) -> None:
        self.parameters = [parameter for parameter in student.parameters() if parameter.requires_grad]
        self.sums: dict[str, float] = {}
        self.looks = 0
        self.values: dict[str, float] = {}
        """Of the terms, at the last look."""

    def look(self, terms: dict[str, Tensor], scale: float = 1.0) -> None:
        """Adds a step's terms, whose graph is kept; they are multiplied by ``scale`` on the way, for half precision."""
        task = self._gradient(terms[TASK], scale) if TASK in terms else None
        for name, term in terms.items():
            gradient = task if name == TASK and task is not None else self._gradient(term, scale)
            norm = math.sqrt(_dot(gradient, gradient))
            self._add(f"gradient/{name}", norm)
            if task is not None and name != TASK:
                cosine = _dot(gradient, task) / max(norm * math.sqrt(_dot(task, task)), 1e-12)
                self._add(f"cosine/{name}", cosine)
        self.values = {name: float(term.detach()) for name, term in terms.items()}
        self.looks += 1

    def means(self) -> dict[str, float]:
        """Returns ``gradient/TERM`` and ``cosine/TERM``; nothing where there was no look."""
        return {name: value / self.looks for name, value in self.sums.items()}

    def state(self) -> dict[str, Any]:
        """Returns the sums, for a checkpoint within an epoch."""
        return {"sums": self.sums, "looks": self.looks}

    def restore(self, state: dict[str, Any]) -> None:
        """Goes on from what :meth:`state` returned."""
        self.sums, self.looks = dict(state["sums"]), state["looks"]

    def _gradient(self, term: Tensor, scale: float) -> list[Tensor]:
        if not term.requires_grad:
            return []
        found = torch.autograd.grad(term * scale, self.parameters, retain_graph=True, allow_unused=True)
        return [gradient / scale if gradient is not None else torch.zeros(()) for gradient in found]

    def _add(self, name: str, value: float) -> None:
        self.sums[name] = self.sums.get(name, 0.0) + value


def _dot(one: Sequence[Tensor], other: Sequence[Tensor]) -> float:
    # Not in float64 on the device: MPS has none.
    return math.fsum((_wide(a) * _wide(b)).sum().item() for a, b in zip(one, other))


def _wide(tensor: Tensor) -> Tensor:
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))


def warn_of_drowned_task(terms: dict[str, float], told: set[str]) -> None:
    """Warns of terms that are far larger than the cross-entropy, once each; ``told`` keeps which were named."""
    task = terms.get(TASK)
    for name, value in terms.items():
        if task and name not in told and abs(value) > DROWNED * task:
            told.add(name)
            method = name.partition(".")[0]
            warnings.warn(
                f"{name} is {value / task:,.0f} times the cross-entropy ({value:.3g} and {task:.3g}): the student may "
                f"learn little of the labels; a lower weight is one of {method}'s settings (tutelage list settings)",
                stacklevel=2,
            )
