"""Track means of the loss terms and steps that are not finite, without waiting for the device."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Fault(NamedTuple):
    """The first step of an epoch that was not finite."""

    step: int
    """Step of the epoch, counted from 0."""
    terms: list[str]
    """Terms that were not finite; empty if only the gradient or a term in another process was not finite."""

    def __str__(self) -> str:
        return " and ".join(self.terms) or "the gradient, or a term in another process"


class Meters:
    """Sums of the terms over the steps of an epoch, and the first step that was not finite.

    All values stay on the device until :meth:`means`, :meth:`fault` or :meth:`state` is called.
    """

    def __init__(self, names: list[str], device: torch.device) -> None:
        self.names = names
        self.steps = 0.0
        self._sums = torch.zeros(len(names), device=device)
        self._bad = torch.zeros(len(names), dtype=torch.bool, device=device)
        self.stopped = torch.zeros((), device=device)
        """A scalar: 1.0 since the first step that was not finite, 0.0 before."""
        self._finite = torch.zeros((), device=device)

    def update(self, terms: dict[str, Tensor], share: float = 1.0) -> None:
        """Add a step, or a part of a step with the fraction ``share`` of its batch."""
        values = torch.stack([terms[name].detach().float() for name in self.names])
        bad = ~torch.isfinite(values)
        self._bad |= bad & (self.stopped == 0)
        self.stopped = torch.maximum(self.stopped, bad.any().float())
        self._sums += share * values
        self.steps += share

    def end_step(self, stopped: Tensor) -> None:
        """End a step; ``stopped`` is 1.0 if this or an earlier step was not finite in any process."""
        self.stopped = stopped
        self._finite += 1 - stopped

    def fault(self) -> Fault | None:
        """Return the first step of the epoch that was not finite, or None if all were finite."""
        if not self.stopped.item():
            return None
        names = [name for name, bad in zip(self.names, self._bad.tolist()) if bad]
        return Fault(int(self._finite.item()), names)

    def state(self) -> dict[str, Tensor | float]:
        """Return the sums, for a checkpoint within an epoch."""
        return {"sums": self._sums.cpu(), "steps": self.steps, "finite": self._finite.cpu()}

    def restore(self, state: dict[str, Tensor | float]) -> None:
        """Continue from the result of :meth:`state`."""
        assert isinstance(state["steps"], float)
        self.steps = state["steps"]
        for mine, name in ((self._sums, "sums"), (self._finite, "finite")):
            mine.copy_(state[name])  # type: ignore[arg-type]

    def means(self) -> dict[str, float]:
        """Return the mean of each term over the steps so far, and their sum as ``loss``."""
        means = (self._sums / max(1.0, self.steps)).tolist()
        return {"loss": sum(means), **dict(zip(self.names, means))}
