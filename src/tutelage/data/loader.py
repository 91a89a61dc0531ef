"""Loaders: batches of un-normalised images with labels and indices, in an order that is a function of (seed, epoch)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from tutelage.data.batch import Batch
from tutelage.data.images import Split
from tutelage.data.samples import Rows


class TrainLoader:
    """Shuffled training batches.

    The order is a permutation drawn from (seed, epoch) alone, cut into global batches; each process takes its equal share
    of each, so that any number of processes sees the same global batches. The incomplete last batch is dropped; a split
    smaller than a batch is one batch.

    Args:
        split: what is trained on.
        batch_size: of the global batch.
        seed: of the order.
        rank: this process, of ``world``.
    """

    def __init__(self, split: Split, batch_size: int, seed: int, rank: int = 0, world: int = 1) -> None:
        self.split = split
        self.batch_size = min(batch_size, len(split))
        self.seed = seed
        self.rank = rank
        self.world = world

    def __len__(self) -> int:
        """Steps in an epoch."""
        return len(self.split) // self.batch_size

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """Yields the batches of ``epoch``."""
        order = np.random.default_rng([self.seed, epoch]).permutation(self.split.rows)
        groups = [self._share(order[step * self.batch_size :][: self.batch_size]) for step in range(len(self))]
        return _batches(self.split, groups, epoch)

    def _share(self, batch: Rows) -> Rows:
        each = len(batch) // self.world
        return batch[self.rank * each : (self.rank + 1) * each]


class EvalLoader:
    """Every sample of a split once, in order, over all processes together; nothing is repeated to fill a batch."""

    def __init__(self, split: Split, batch_size: int, rank: int = 0, world: int = 1) -> None:
        self.split = split
        self.batch_size = batch_size
        self.rank = rank
        self.world = world

    def __iter__(self) -> Iterator[Batch]:
        own = self.split.rows[self.rank :: self.world]
        groups = [own[start : start + self.batch_size] for start in range(0, len(own), self.batch_size)]
        return _batches(self.split, groups, None)


def _batches(split: Split, groups: list[Rows], epoch: int | None) -> Iterator[Batch]:
    for images, rows in split.samples.batches(groups, epoch):
        yield Batch(images, torch.from_numpy(split.samples.labels[rows]), torch.from_numpy(rows))
