"""The input of a step: a batch on the device, augmented and perhaps mixed, with its cached targets if there are any."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from torch import Tensor

from tutelage.config import DistillSettings
from tutelage.data import Batch, ImageData, PackedSamples, TrainLoader
from tutelage.training.job.job import Job

T = TypeVar("T")
Stored = Callable[[int, "np.ndarray"], list[Tensor] | None]
"""From a view and samples to their stored targets, on the host; None where one is missing."""


class Fed(NamedTuple):
    """A batch as the step takes it."""

    images: Tensor
    """(B, 3, H, W) uint8, channels last, on the device."""
    labels: Tensor
    rows: np.ndarray
    """(B,) the samples' places in the training set."""
    view: int
    """Which view of the samples it is."""
    targets: list[Tensor] | None
    """What the terms keep of the teacher, where it was stored."""

    def part(self, chosen: np.ndarray) -> Fed:
        """Returns the samples that ``chosen`` (B,), booleans, names, without targets."""
        places = torch.from_numpy(np.flatnonzero(chosen)).to(self.images.device)
        return Fed(self.images[places], self.labels[places], self.rows[chosen], self.view, None)


@dataclass(frozen=True)
class Feed:
    """Makes the batches of a training; where the step runs on a GPU, each while the step before it runs."""

    data: ImageData
    loader: TrainLoader
    device: torch.device
    view_of: Callable[[int], int]
    """From an epoch to the view of its images."""
    rank: int = 0

    def epoch(self, epoch: int, stored: Stored | None = None, first: int = 0) -> Iterator[Fed]:
        """Yields this process's batches of ``epoch`` from step ``first`` on, with what is ``stored`` for them."""
        view = self.view_of(epoch)
        batches = self.loader.epoch(epoch, view, first)
        made = (self._make(step, batch, epoch, view, stored) for step, batch in enumerate(batches, first))
        # On a CPU a second thread would only take turns with those of the step, which then wait for each other.
        return ahead(made) if self.device.type == "cuda" else made

    def read(self, groups: Sequence[np.ndarray], view: int) -> Iterator[Fed]:
        """Yields a batch for each group of samples at ``view``, neither mixed nor with targets."""
        return (self._place(batch, view, None) for batch in self.loader.read(groups, view))

    def _make(self, step: int, batch: Batch, epoch: int, view: int, stored: Stored | None) -> Fed:
        fed = self._place(batch, view, stored)
        if self.data.mixing is None:
            return fed
        start = step * self.loader.batch_size + self.rank * len(batch.labels)
        images, labels = self.data.mixing(fed.images, fed.labels, start, epoch)
        return fed._replace(images=images.contiguous(memory_format=torch.channels_last), labels=labels)

    def _place(self, batch: Batch, view: int, stored: Stored | None) -> Fed:
        rows = batch.index.numpy()
        targets = stored(view, rows) if stored is not None else None
        if targets is not None:
            targets = [self._to_device(target) for target in targets]
        images = self.data.views(self._to_device(batch.images), batch.index, view)
        images = images.contiguous(memory_format=torch.channels_last)
        return Fed(images, self._to_device(batch.labels), rows, view, targets)

    def _to_device(self, tensor: Tensor) -> Tensor:
        # From pinned memory the copy goes on while the host does other things.
        if self.device.type == "cuda" and tensor.device.type == "cpu":
            tensor = tensor.pin_memory()
        return tensor.to(self.device, non_blocking=True)


def build_feed(job: Job, device: torch.device, rank: int = 0, world: int = 1) -> Feed:
    """Returns what feeds the steps of a run: the share of process ``rank`` of ``world``."""
    settings, data = job.settings, job.data
    if isinstance(data.train.samples, PackedSamples):
        data.train.samples.keep_on(device)
    return Feed(
        data,
        TrainLoader(data.train, settings.batch_size, settings.seed, rank, world),
        device,
        view_of(job),
        rank,
    )


def view_of(job: Job) -> Callable[[int], int]:
    """Return the function from an epoch to the view that it shows: a new one each epoch, or one of the cached pool."""
    if not isinstance(job.settings, DistillSettings) or job.settings.cache.views is None:
        return lambda epoch: epoch
    return job.settings.cache.view if job.data.random else lambda epoch: 0


def ahead(items: Iterator[T]) -> Iterator[T]:
    """Yields the items, each made by a thread while the one before it is used."""
    end = object()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(next, items, end)
        while (item := waiting.result()) is not end:
            waiting = pool.submit(next, items, end)
            yield item  # type: ignore[misc]
