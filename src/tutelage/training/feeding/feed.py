"""Prepare the input of a step: a batch on the device, augmented, mixed if requested, with its cached targets if any."""

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
from tutelage.terms import Stage
from tutelage.training.job.job import Job

T = TypeVar("T")
Stored = Callable[[int, "np.ndarray"], list[Tensor] | None]
"""A function from a view and samples to their cached targets on the CPU, or None if any is missing."""


class Fed(NamedTuple):
    """The input of one step."""

    images: Tensor
    """(B, 3, H, W) uint8, channels last, on the device."""
    labels: Tensor
    rows: np.ndarray
    """Row numbers of the samples, (B,)."""
    numbers: np.ndarray
    """Numbers of the samples in the training set, (B,), which may have fewer samples than there are rows."""
    view: int
    """Index of the view of the samples."""
    targets: list[Tensor] | None
    """The cached teacher outputs for the terms, if they were stored."""

    def index_for(self, stage: Stage) -> Tensor | None:
        """Return ``numbers`` on the device, (B,), if a term of the stage reads them."""
        return torch.from_numpy(self.numbers).to(self.images.device) if stage.needs_index else None

    def part(self, chosen: np.ndarray) -> Fed:
        """Return the samples that the mask ``chosen`` (B,) selects, without targets."""
        places = torch.from_numpy(np.flatnonzero(chosen)).to(self.images.device)
        return Fed(self.images[places], self.labels[places], self.rows[chosen], self.numbers[chosen], self.view, None)


@dataclass(frozen=True)
class Feed:
    """The batches of a training run; for a GPU, each batch is prepared during the previous step."""

    data: ImageData
    loader: TrainLoader
    device: torch.device
    view_of: Callable[[int], int]
    """Maps an epoch to the view of its images."""
    rank: int = 0

    def epoch(self, epoch: int, stored: Stored | None = None, first: int = 0) -> Iterator[Fed]:
        """Yield this process's batches of ``epoch``, starting at step ``first``, with their ``stored`` targets."""
        view = self.view_of(epoch)
        batches = self.loader.epoch(epoch, view, first)
        made = (self._make(step, batch, epoch, view, stored) for step, batch in enumerate(batches, first))
        # On a CPU, a second thread would only compete with the threads of the step.
        return ahead(made) if self.device.type == "cuda" else made

    def read(self, groups: Sequence[np.ndarray], view: int) -> Iterator[Fed]:
        """Yield a batch for each group of samples at ``view``, without mixing and targets."""
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
        numbers = np.searchsorted(self.data.train.rows, rows)
        return Fed(images, self._to_device(batch.labels), rows, numbers, view, targets)

    def _to_device(self, tensor: Tensor) -> Tensor:
        # Copies from pinned memory are asynchronous.
        if self.device.type == "cuda" and tensor.device.type == "cpu":
            tensor = tensor.pin_memory()
        return tensor.to(self.device, non_blocking=True)


def build_feed(job: Job, device: torch.device, rank: int = 0, world: int = 1) -> Feed:
    """Return the feed of a run, with the share of process ``rank`` out of ``world`` processes."""
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
    """Return the function from an epoch to its view: a new view in each epoch, or a view of the cached pool."""
    if not isinstance(job.settings, DistillSettings) or job.settings.cache.views is None:
        return lambda epoch: epoch
    return job.settings.cache.view if job.data.random else lambda epoch: 0


def ahead(items: Iterator[T]) -> Iterator[T]:
    """Yield the items; a thread prepares each item while the previous one is used."""
    end = object()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(next, items, end)
        while (item := waiting.result()) is not end:
            waiting = pool.submit(next, items, end)
            yield item  # type: ignore[misc]
