"""Measure the gradient of each term: its norm, and its cosine with the gradient of the cross-entropy."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from tutelage.config import RunSettings
from tutelage.distillation import TASK
from tutelage.training.tuning.compilation import compiles_student

DOMINATING = 100.0
"""Ratio to the cross-entropy above which a term leaves the labels little influence."""


class GradientWatch:
    """Mean gradient norms of the terms over an epoch, and cosines with the gradient of the cross-entropy, if any.

    The norm is ‖∂L_i/∂θ‖ for each weighted term L_i and the trained weights θ of the student. Each measurement costs a
    backward pass per term. With several processes, the first process measures its part of the batch.
    """

    def __init__(self, student: nn.Module) -> None:
        self.parameters = [parameter for parameter in student.parameters() if parameter.requires_grad]
        self.sums: dict[str, float] = {}
        self.looks = 0

    def look(self, terms: dict[str, Tensor], scale: float = 1.0) -> None:
        """Measure the terms of a step, and keep their graph.

        Args:
            terms: The weighted terms.
            scale: Factor during the backward pass, for half precision.
        """
        task = self._gradient(terms[TASK], scale) if TASK in terms else None
        for name, term in terms.items():
            gradient = task if name == TASK and task is not None else self._gradient(term, scale)
            norm = math.sqrt(_dot(gradient, gradient))
            self._add(f"gradient/{name}", norm)
            if task is not None and name != TASK:
                cosine = _dot(gradient, task) / max(norm * math.sqrt(_dot(task, task)), 1e-12)
                self._add(f"cosine/{name}", cosine)
        self.looks += 1

    def means(self) -> dict[str, float]:
        """Return the means as ``gradient/TERM`` and ``cosine/TERM``; empty without measurements."""
        return {name: value / self.looks for name, value in self.sums.items()}

    def state(self) -> dict[str, Any]:
        """Return the sums, for a checkpoint within an epoch."""
        return {"sums": self.sums, "looks": self.looks}

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from the result of :meth:`state`."""
        self.sums, self.looks = dict(state["sums"]), state["looks"]

    def _gradient(self, term: Tensor, scale: float) -> list[Tensor]:
        if not term.requires_grad:
            return []
        found = torch.autograd.grad(term * scale, self.parameters, retain_graph=True, allow_unused=True)
        return [gradient / scale if gradient is not None else torch.zeros(()) for gradient in found]

    def _add(self, name: str, value: float) -> None:
        self.sums[name] = self.sums.get(name, 0.0) + value


def _dot(one: Sequence[Tensor], other: Sequence[Tensor]) -> float:
    # Sums are added on the host, because MPS has no float64.
    return math.fsum((_wide(a) * _wide(b)).sum().item() for a, b in zip(one, other))


def _wide(tensor: Tensor) -> Tensor:
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))


def measures_gradients(settings: RunSettings, step: int) -> bool:
    """Return whether a step, counted from 0, measures gradients.

    Compiled students are not measured, because their backward pass frees tensors that a second one needs.
    """
    return settings.log_gradients and step % settings.log_every == 0 and not compiles_student(settings.compile)


def warn_of_dominated_task(means: dict[str, float], told: set[str]) -> None:
    """Warn once about each term that is far larger than the cross-entropy.

    Args:
        means: Terms by name, and their sum as ``loss``.
        told: Terms for which a warning was issued; new ones are added.
    """
    task = means.get(TASK)
    for name, value in means.items():
        if task and name not in told and name != "loss" and abs(value) > DOMINATING * task:
            told.add(name)
            method = name.partition(".")[0]
            warnings.warn(
                f"{name} is {value / task:,.0f} times the cross-entropy ({value:.3g} and {task:.3g}) and will dominate "
                f"training; set a lower weight, which is one of {method}'s settings (tutelage list settings)",
                stacklevel=2,
            )
