"""One training step, which never waits for the device."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING

import torch
import torch.nn as nn
from torch import Tensor

from tutelage.training.loop.gradients import GradientWatch
from tutelage.training.loop.meters import Meters

if TYPE_CHECKING:
    from accelerate import Accelerator
    from accelerate.optimizer import AcceleratedOptimizer
    from timm.utils import ModelEmaV3


class Step:
    """Forward, backward and update of one batch.

    Args:
        engine: precision, processes, gradients' scale.
        module: the prepared distiller.
        optimizer: the prepared optimiser.
        student: the network that is trained.
        clip: largest norm of the gradient; None: any.
        parts: into how many micro-batches a batch is cut, whose gradients are averaged before the update.
        averaged: takes the moving average of the student's weights after each update; None: no average is kept.
    """

    def __init__(
        self,
        engine: Accelerator,
        module: nn.Module,
        optimizer: AcceleratedOptimizer,
        student: nn.Module,
        clip: float | None = None,
        parts: int = 1,
        averaged: ModelEmaV3 | None = None,
    ) -> None:
        self.engine = engine
        self.module = module
        self.optimizer = optimizer
        self.student = student
        self.averaged = averaged
        self.clip = clip
        self.parts = parts
        self.taken = 0
        """Steps of the run so far: the average's decay rises with them."""

    def __call__(
        self,
        images: Tensor,
        labels: Tensor,
        targets: Sequence[Tensor] | None,
        meters: Meters,
        lr: float,
        watch: GradientWatch | None = None,
    ) -> None:
        """Takes one step at learning rate ``lr``; the terms go into ``meters``, and their gradients to ``watch``."""
        for part, share, last in _parts(images, labels, targets, self.parts):
            # Processes exchange gradients once a step, with the last part.
            with nullcontext() if last else self.engine.no_sync(self.module):
                out = self.module(*part)
                meters.update(out.terms, share)
                if watch is not None and last:
                    watch.look(out.terms, self.engine.scaler.get_scale() if self.engine.scaler is not None else 1.0)
                self.engine.backward(self._guarded(out.loss, meters.stopped) * share)
        norm = self._norm()
        stopped = self.engine.reduce(meters.stopped, "sum")
        if self.engine.scaler is None:  # which skips such steps by itself, and goes on at another scale
            stopped = stopped + ~torch.isfinite(norm)
        # The fused kernels take 1.0 for a sign, and nothing else.
        meters.end_step(stopped.clamp(max=1.0))
        self._update(meters.stopped, lr)

    def _norm(self) -> Tensor:
        """The norm of the gradient, which is then cut to the largest allowed one."""
        if self.clip is not None:
            norm: Tensor = self.engine.clip_grad_norm_(self.module.parameters(), self.clip)
            return norm
        gradients = [parameter.grad for parameter in self.module.parameters() if parameter.grad is not None]
        return torch.nn.utils.get_total_norm(gradients)

    def _update(self, stopped: Tensor, lr: float) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        if self.engine.scaler is None:
            # The fused kernel reads this on the device: from the first loss that is not finite on, nothing is updated.
            self.optimizer.optimizer.found_inf = stopped
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.taken += 1
        if self.averaged is not None:
            self.averaged.update(self.student, self.taken)

    def _guarded(self, loss: Tensor, stopped: Tensor) -> Tensor:
        """The loss, not finite any more once it was not: a gradient scaler goes by a ``found_inf`` of its own."""
        return loss if self.engine.scaler is None else loss * torch.where(stopped > 0, torch.nan, 1.0)


def moving_average(student: nn.Module, decay: float | None) -> ModelEmaV3 | None:
    """Returns what keeps a moving average of the student's parameters and buffers, a ← d·a + (1 − d)·s after step n.

    d = min(``decay``, 1 − n^(−2/3)): the first steps, which know little, are soon forgotten. None without ``decay``.
    """
    if decay is None:
        return None
    from timm.utils import ModelEmaV3

    return ModelEmaV3(student, decay, use_warmup=True)


def _parts(
    images: Tensor, labels: Tensor, targets: Sequence[Tensor] | None, count: int
) -> Iterator[tuple[tuple[Tensor, Tensor, list[Tensor] | None], float, bool]]:
    """Yields (images, labels, targets) of each part of a batch, its share of the batch, and whether it is the last."""
    places = torch.arange(len(images)).tensor_split(min(count, len(images)))
    for place in places:
        own = slice(int(place[0]), int(place[-1]) + 1)
        cut = [target[own] for target in targets] if targets is not None else None
        yield (images[own], labels[own], cut), len(place) / len(images), place is places[-1]
