"""``Step``: one training step, without waiting for the device."""

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
    """The forward pass, backward pass and update with one batch.

    Args:
        engine: The accelerator of the run: precision, processes and gradient scaler.
        module: The prepared distiller.
        optimizer: The prepared optimizer.
        student: The network that is trained.
        clip: Maximum norm of the gradient; None: no clipping.
        parts: Number of micro-batches per batch, whose gradients are averaged before the update.
        averaged: Moving average of the student's weights, updated after each step; None: no average.
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
        """Completed steps of the run, which determine the decay of the average."""

    def __call__(
        self,
        images: Tensor,
        labels: Tensor,
        targets: Sequence[Tensor] | None,
        meters: Meters,
        lr: float,
        watch: GradientWatch | None = None,
        index: Tensor | None = None,
    ) -> None:
        """Take one step at learning rate ``lr``; add the terms to ``meters`` and their gradients to ``watch``."""
        for part, share, last in _parts(images, labels, targets, index, self.parts):
            # Processes exchange gradients once per step, with the last part.
            with nullcontext() if last else self.engine.no_sync(self.module):
                out = self.module(*part)
                meters.update(out.terms, share)
                if watch is not None and last:
                    watch.look(out.terms, self.engine.scaler.get_scale() if self.engine.scaler is not None else 1.0)
                self.engine.backward(self._guarded(out.loss, meters.stopped) * share)
        norm = self._norm()
        stopped = self.engine.reduce(meters.stopped, "sum")
        if self.engine.scaler is None:  # a scaler skips such steps itself, and continues with another scale
            stopped = stopped + ~torch.isfinite(norm)
        # Fused kernels skip the update only if found_inf is exactly 1.0.
        meters.end_step(stopped.clamp(max=1.0))
        self._update(meters.stopped, lr)

    def _norm(self) -> Tensor:
        """Return the norm of the gradient before clipping, and clip the gradient if requested."""
        if self.clip is not None:
            norm: Tensor = self.engine.clip_grad_norm_(self.module.parameters(), self.clip)
            return norm
        gradients = [parameter.grad for parameter in self.module.parameters() if parameter.grad is not None]
        return torch.nn.utils.get_total_norm(gradients)

    def _update(self, stopped: Tensor, lr: float) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        if self.engine.scaler is None:
            # Fused kernels read this on the device, and skip all updates after the first step that is not finite.
            self.optimizer.optimizer.found_inf = stopped
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.taken += 1
        if self.averaged is not None:
            self.averaged.update(self.student, self.taken)

    def _guarded(self, loss: Tensor, stopped: Tensor) -> Tensor:
        """Return the loss, or NaN once a step was not finite, so that a gradient scaler, if any, skips the update."""
        return loss if self.engine.scaler is None else loss * torch.where(stopped > 0, torch.nan, 1.0)


def moving_average(student: nn.Module, decay: float | None) -> ModelEmaV3 | None:
    """Return a moving average of the student's parameters and buffers, or None without ``decay``.

    After step n, it is a ← d·a + (1 − d)·s with d = min(``decay``, 1 − n^(−2/3)), so that the first steps lose their
    influence quickly.
    """
    if decay is None:
        return None
    from timm.utils import ModelEmaV3

    return ModelEmaV3(student, decay, use_warmup=True)


def _parts(
    images: Tensor, labels: Tensor, targets: Sequence[Tensor] | None, index: Tensor | None, count: int
) -> Iterator[tuple[tuple[Tensor, Tensor, list[Tensor] | None, Tensor | None], float, bool]]:
    """Yield (images, labels, targets, index) of each part, its share of the batch, and whether it is the last."""
    places = torch.arange(len(images)).tensor_split(min(count, len(images)))
    for place in places:
        own = slice(int(place[0]), int(place[-1]) + 1)
        cut = [target[own] for target in targets] if targets is not None else None
        part = (images[own], labels[own], cut, index[own] if index is not None else None)
        yield part, len(place) / len(images), place is places[-1]
