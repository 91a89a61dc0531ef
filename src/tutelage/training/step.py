"""One training step, which never waits for the device."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import nullcontext

import torch
import torch.nn as nn
from accelerate import Accelerator
from accelerate.optimizer import AcceleratedOptimizer
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from tutelage.training.meters import Meters


class Step:
    """Forward, backward and update of one batch.

    Args:
        engine: precision, processes, gradients' scale.
        module: the prepared distiller.
        optimizer: the prepared optimiser.
        student: the network that is trained.
        averaged: takes the moving average of the student's weights after each update; None: no average is kept.
        clip: largest norm of the gradient; None: any.
        parts: into how many micro-batches a batch is cut, whose gradients are averaged before the update.
    """

    def __init__(
        self,
        engine: Accelerator,
        module: nn.Module,
        optimizer: AcceleratedOptimizer,
        student: nn.Module,
        averaged: AveragedModel | None = None,
        clip: float | None = None,
        parts: int = 1,
    ) -> None:
        self.engine = engine
        self.module = module
        self.optimizer = optimizer
        self.student = student
        self.averaged = averaged
        self.clip = clip
        self.parts = parts

    def __call__(
        self, images: Tensor, labels: Tensor, targets: Sequence[Tensor] | None, meters: Meters, lr: float
    ) -> None:
        """Takes one step at learning rate ``lr``; the terms go into ``meters``."""
        for part, share, last in _parts(images, labels, targets, self.parts):
            # Processes exchange gradients once a step, with the last part.
            with nullcontext() if last else self.engine.no_sync(self.module):
                out = self.module(*part)
                stopped = meters.update(out.terms)
                self.engine.backward(self._guarded(out.loss, stopped) * share)
        self._update(stopped, lr)

    def _update(self, stopped: Tensor, lr: float) -> None:
        if self.clip is not None:
            self.engine.clip_grad_norm_(self.module.parameters(), self.clip)
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        if self.engine.scaler is None:
            # The fused kernel reads this on the device: from the first loss that is not finite on, nothing is updated.
            self.optimizer.optimizer.found_inf = self.engine.reduce(stopped, "sum")
        self.optimizer.step()
        self.optimizer.zero_grad()
        if self.averaged is not None:
            self.averaged.update_parameters(self.student)

    def _guarded(self, loss: Tensor, stopped: Tensor) -> Tensor:
        """The loss, not finite any more once it was not: a gradient scaler goes by a ``found_inf`` of its own."""
        return loss if self.engine.scaler is None else loss * torch.where(stopped > 0, torch.nan, 1.0)


def _parts(
    images: Tensor, labels: Tensor, targets: Sequence[Tensor] | None, count: int
) -> Iterator[tuple[tuple[Tensor, Tensor, list[Tensor] | None], float, bool]]:
    """Yields (images, labels, targets) of each part of a batch, its share of the batch, and whether it is the last."""
    places = torch.arange(len(images)).tensor_split(min(count, len(images)))
    for place in places:
        own = slice(int(place[0]), int(place[-1]) + 1)
        cut = [target[own] for target in targets] if targets is not None else None
        yield (images[own], labels[own], cut), len(place) / len(images), place is places[-1]
