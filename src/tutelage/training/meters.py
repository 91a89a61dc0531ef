"""Running means of the loss terms, and the watch for a step that is not finite, without waiting for the device."""

from __future__ import annotations

import torch
from torch import Tensor

from tutelage.errors import TutelageError


class Meters:
    """Sums each term over the steps of an epoch, and remembers which term first stopped being finite.

    Everything stays on the device until :meth:`means` or :meth:`check` is called.
    """

    def __init__(self, names: list[str], device: torch.device) -> None:
        self.names = names
        self.steps = 0.0
        self._sums = torch.zeros(len(names), device=device)
        self._bad = torch.zeros(len(names), dtype=torch.bool, device=device)
        self.stopped = torch.zeros((), device=device)
        """1.0 from the first step that is not finite on, 0.0 before."""

    def update(self, terms: dict[str, Tensor], share: float = 1.0) -> None:
        """Adds a step, or a part of one that is ``share`` of its batch."""
        values = torch.stack([terms[name].detach().float() for name in self.names])
        bad = ~torch.isfinite(values)
        self._bad |= bad & (self.stopped == 0)
        self.stopped = torch.maximum(self.stopped, bad.any().float())
        self._sums += share * values
        self.steps += share

    def check(self, place: str) -> None:
        """Raises :class:`TutelageError` that names the terms, if a step since the start was not finite."""
        if self.stopped.item():
            names = " and ".join(name for name, bad in zip(self.names, self._bad.tolist()) if bad)
            raise TutelageError(
                f"the loss is not finite in {place}: {names or 'in another process'}. Weights have not changed since "
                f"the step before; the last checkpoint is good. Try a lower optimizer.lr, a lower weight of the term, "
                f"or clip=1"
            )

    def state(self) -> dict[str, Tensor | float]:
        """Returns the sums, for a checkpoint within an epoch."""
        return {"sums": self._sums.cpu(), "steps": self.steps}

    def restore(self, state: dict[str, Tensor | float]) -> None:
        """Goes on from what :meth:`state` returned."""
        assert isinstance(state["sums"], Tensor) and isinstance(state["steps"], float)
        self._sums.copy_(state["sums"])
        self.steps = state["steps"]

    def means(self) -> dict[str, float]:
        """Returns the mean of each term over the steps so far, and of their sum as ``loss``."""
        means = (self._sums / max(1.0, self.steps)).tolist()
        return {"loss": sum(means), **dict(zip(self.names, means))}
