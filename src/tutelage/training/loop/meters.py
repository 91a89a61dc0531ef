"""Running means of the loss terms, and the watch for a step that is not finite, without waiting for the device."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Fault(NamedTuple):
    """The first step of an epoch that was not finite."""

    step: int
    """From 0."""
    terms: list[str]
    """Those that were not; none where only their gradient was not, or a term of another process."""

    def __str__(self) -> str:
        return " and ".join(self.terms) or "the gradient, or a term in another process"


class Meters:
    """Sums each term over the steps of an epoch, and remembers which step first stopped being finite, and why.

    Everything stays on the device until :meth:`means` or :meth:`fault` is called.
    """

    def __init__(self, names: list[str], device: torch.device) -> None:
        self.names = names
        self.steps = 0.0
        self._sums = torch.zeros(len(names), device=device)
        self._bad = torch.zeros(len(names), dtype=torch.bool, device=device)
        self.stopped = torch.zeros((), device=device)
        """1.0 from the first step that is not finite on, 0.0 before."""
        self._finite = torch.zeros((), device=device)

    def update(self, terms: dict[str, Tensor], share: float = 1.0) -> None:
        """Adds a step, or a part of one that is ``share`` of its batch."""
        values = torch.stack([terms[name].detach().float() for name in self.names])
        bad = ~torch.isfinite(values)
        self._bad |= bad & (self.stopped == 0)
        self.stopped = torch.maximum(self.stopped, bad.any().float())
        self._sums += share * values
        self.steps += share

    def end_step(self, stopped: Tensor) -> None:
        """Takes note that a step is over, ``stopped`` being 1.0 where it was not finite anywhere."""
        self.stopped = stopped
        self._finite += 1 - stopped

    def fault(self) -> Fault | None:
        """Returns the first step since the epoch's start that was not finite; None where all were."""
        if not self.stopped.item():
            return None
        names = [name for name, bad in zip(self.names, self._bad.tolist()) if bad]
        return Fault(int(self._finite.item()), names)

    def state(self) -> dict[str, Tensor | float]:
        """Returns the sums, for a checkpoint within an epoch."""
        return {"sums": self._sums.cpu(), "steps": self.steps, "finite": self._finite.cpu()}

    def restore(self, state: dict[str, Tensor | float]) -> None:
        """Goes on from what :meth:`state` returned."""
        assert isinstance(state["steps"], float)
        self.steps = state["steps"]
        for mine, name in ((self._sums, "sums"), (self._finite, "finite")):
            mine.copy_(state[name])  # type: ignore[arg-type]

    def means(self) -> dict[str, float]:
        """Returns the mean of each term over the steps so far, and of their sum as ``loss``."""
        means = (self._sums / max(1.0, self.steps)).tolist()
        return {"loss": sum(means), **dict(zip(self.names, means))}
