"""Loaders of batches (unnormalized images, labels, indices) in an order that only depends on (seed, epoch)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from tutelage.data.hashing import Stream, bits
from tutelage.data.source import Rows
from tutelage.data.stored.samples import Batch, Samples
from tutelage.errors import TutelageError


@dataclass(frozen=True, eq=False)
class Windows:
    """Windows of shards within which samples are shuffled, so that few shards are in use at a time."""

    starts: Rows
    """First row of each shard."""
    shards: int
    """Number of shards per window."""


@dataclass(frozen=True, eq=False)
class Split:
    """Subset of samples, and how training orders them."""

    samples: Samples
    rows: Rows
    """Sorted row numbers in ``samples``, which are also the ``index`` of batches."""
    windows: Windows | None = None
    """Windows for shuffling streamed data; None to shuffle all rows together."""
    balanced: bool = False
    """Whether training samples all classes equally often."""

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def labels(self) -> Tensor:
        """Labels (N,), int64, −1 if unlabeled."""
        return torch.from_numpy(self.samples.labels[self.rows])


class TrainLoader:
    """Loader of shuffled training batches.

    The order is a permutation that only depends on (seed, epoch); streamed data are permuted within windows of shards.
    It is cut into global batches, and each process reads an equal share of each, so that the global batches do not
    depend on the number of processes. An incomplete last batch is dropped; a split smaller than a batch is one batch.
    In a balanced split, all classes are equally frequent: samples of rare classes repeat within an epoch, in the same
    view.

    Args:
        split: Samples to train on.
        batch_size: Global batch size, the sum over processes.
        seed: Seed of the order.
        rank: Number of this process.
        world: Number of processes.

    Raises:
        TutelageError: If the batch cannot be divided equally among the processes, or there are fewer samples than
            processes.
    """

    def __init__(self, split: Split, batch_size: int, seed: int, rank: int = 0, world: int = 1) -> None:
        if batch_size % world:
            raise TutelageError(
                f"batch_size={batch_size} is not divisible by the {world} processes; use a multiple of {world}"
            )
        if len(split) < world:
            raise TutelageError(f"{len(split)} training images are too few for {world} processes; use fewer processes")
        self.split = split
        self.batch_size = min(batch_size, len(split) - len(split) % world)
        self.seed = seed
        share = self.batch_size // world
        self._own = slice(rank * share, (rank + 1) * share)
        self._reader = split.samples.reader()

    def __len__(self) -> int:
        """Return the number of steps per epoch."""
        return len(self.split) // self.batch_size

    def epoch(self, epoch: int, view: int | None = None, first: int = 0) -> Iterator[Batch]:
        """Yield the batches of this process for one epoch. Only one epoch can be read at a time.

        Args:
            epoch: Epoch that determines the order.
            view: Epoch that determines the random crops made while decoding. None for ``epoch``.
            first: First step to read.

        Raises:
            TutelageError: If no image of a batch is readable.
        """
        view = epoch if view is None else view
        order = shuffled(self.split.rows, self.seed, epoch, self.split.windows)
        if self.split.balanced:
            order = rebalanced(order, self.split.samples.labels, self.seed, epoch)
        batches = order[: len(self) * self.batch_size].reshape(len(self), self.batch_size)
        read = first
        for batch in self.read([np.ascontiguousarray(batch[self._own]) for batch in batches[first:]], view):
            yield batch
            read += 1
        if read < len(self):
            fault = next(iter(self.split.samples.broken.values()))
            raise TutelageError(f"all images of a batch are unreadable; the first: {fault}")

    def read(self, groups: Sequence[Rows], view: int) -> Iterator[Batch]:
        """Yield one batch per group of rows, with random crops of epoch ``view``; skip groups without readable images.

        Args:
            groups: Rows of each batch.
            view: Epoch that determines the random crops.
        """
        return self._reader.read(groups, view)


class EvalLoader:
    """Loader of evaluation batches: each sample of a split exactly once over all processes.

    Args:
        split: Samples to evaluate on.
        batch_size: Global batch size, the sum over processes.
        rank: Number of this process, which reads every ``world``-th sample.
        world: Number of processes.
    """

    def __init__(self, split: Split, batch_size: int, rank: int = 0, world: int = 1) -> None:
        own, share = split.rows[rank::world], max(1, batch_size // world)
        self._groups = [np.ascontiguousarray(own[start : start + share]) for start in range(0, len(own), share)]
        self._reader = split.samples.reader()

    def __len__(self) -> int:
        """Return the number of batches of this process."""
        return len(self._groups)

    def __iter__(self) -> Iterator[Batch]:
        return self._reader.read(self._groups, None)


def rebalanced(order: Rows, labels: Rows, seed: int, epoch: int) -> Rows:
    """Return rows with all classes equally frequent, as many as in ``order``.

    Rows of rare classes repeat, and rows of frequent classes alternate from epoch to epoch. Unlabeled rows are kept.

    Args:
        order: Shuffled rows of the epoch.
        labels: Labels of all samples, −1 if unlabeled.
        seed: Seed of the new order.
        epoch: Epoch of the new order.
    """
    own = labels[order]
    classes, known = np.unique(own[own >= 0]), int((own >= 0).sum())
    chosen = [order[own < 0]]
    for place, label in enumerate(classes):
        members = order[own == label]
        chosen.append(np.resize(members, known // len(classes) + (place < known % len(classes))))
    rows = np.concatenate(chosen)
    return rows[np.argsort(bits(seed, epoch, torch.arange(len(rows)), Stream.ORDER).numpy())]


def shuffled(rows: Rows, seed: int, epoch: int, windows: Windows | None = None) -> Rows:
    """Return ``rows`` in the order of ``epoch``, a permutation that only depends on (seed, epoch).

    With ``windows``, shards are permuted, the permutation is cut into windows of ``windows.shards`` shards, and rows
    are permuted within their window. A single window of all shards results in the same order as no windows.
    """
    keys = bits(seed, epoch, torch.from_numpy(rows), Stream.ORDER).numpy()
    if windows is None:
        return rows[np.argsort(keys)]
    shards = torch.arange(len(windows.starts))
    places = np.argsort(np.argsort(bits(seed, epoch, shards, Stream.SHARD).numpy()))
    window = (places // windows.shards)[np.searchsorted(windows.starts, rows, side="right") - 1]
    return rows[np.lexsort((keys, window))]
