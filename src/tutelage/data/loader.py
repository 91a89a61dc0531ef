"""Loaders: batches of un-normalized images with labels and indices, in an order that is a function of (seed, epoch)."""

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
    """How the samples of shards are shuffled so that few shards are in use at a time."""

    starts: Rows
    """The first row of each shard."""
    shards: int
    """In a window."""


@dataclass(frozen=True, eq=False)
class Split:
    """Some rows of some samples, and how training orders them."""

    samples: Samples
    rows: Rows
    """Places in the samples, sorted: what a batch's ``index`` holds."""
    windows: Windows | None = None
    """Limits the shuffling of streamed data; None: rows are shuffled freely."""
    balanced: bool = False
    """Whether training shows its classes equally often."""

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def labels(self) -> Tensor:
        """(N,) int64, −1 where unlabelled."""
        return torch.from_numpy(self.samples.labels[self.rows])


class TrainLoader:
    """Shuffled training batches.

    The order is a permutation that depends on (seed, epoch) only; streamed data are permuted within windows of shards.
    It is cut into global batches, and each process takes an equal share of each: any number of processes sees the same
    global batches. The incomplete last batch is dropped; a split smaller than a batch is one batch. In a balanced split
    classes are equally frequent: samples of rare ones repeat within an epoch, in the same view.

    Args:
        split: The samples to train on.
        batch_size: Size of the global batch, the sum over processes.
        seed: Seed of the order.
        rank: Number of this process.
        world: Number of processes.

    Raises:
        TutelageError: The batch cannot be shared equally.
    """

    def __init__(self, split: Split, batch_size: int, seed: int, rank: int = 0, world: int = 1) -> None:
        if batch_size % world:
            raise TutelageError(f"batch_size={batch_size} cannot be shared equally by {world} processes")
        if len(split) < world:
            raise TutelageError(f"{len(split)} training images cannot be shared by {world} processes")
        self.split = split
        self.batch_size = min(batch_size, len(split) - len(split) % world)
        self.seed = seed
        share = self.batch_size // world
        self._own = slice(rank * share, (rank + 1) * share)
        self._reader = split.samples.reader()

    def __len__(self) -> int:
        """Steps in an epoch."""
        return len(self.split) // self.batch_size

    def epoch(self, epoch: int, view: int | None = None, first: int = 0) -> Iterator[Batch]:
        """Yield this process's batches in the order of ``epoch``, from step ``first`` on; one epoch at a time.

        Random crops made while decoding are those of ``view``, which defaults to ``epoch``.
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
            raise TutelageError(f"no image of a batch is readable; the first: {fault}")

    def read(self, groups: Sequence[Rows], view: int) -> Iterator[Batch]:
        """Yield a batch for each group of samples, at ``view``; skip groups without a readable image."""
        return self._reader.read(groups, view)


class EvalLoader:
    """Evaluation batches: every sample of a split once over all processes, none repeated to fill a batch.

    ``batch_size`` is global; process ``rank`` of ``world`` reads every ``world``-th sample.
    """

    def __init__(self, split: Split, batch_size: int, rank: int = 0, world: int = 1) -> None:
        own, share = split.rows[rank::world], max(1, batch_size // world)
        self._groups = [np.ascontiguousarray(own[start : start + share]) for start in range(0, len(own), share)]
        self._reader = split.samples.reader()

    def __len__(self) -> int:
        """Batches of this process."""
        return len(self._groups)

    def __iter__(self) -> Iterator[Batch]:
        return self._reader.read(self._groups, None)


def rebalanced(order: Rows, labels: Rows, seed: int, epoch: int) -> Rows:
    """Return as many rows as ``order`` has, with all classes equally frequent.

    Rows of rare classes repeat; rows of frequent ones take turns from epoch to epoch; unlabelled rows stay. ``labels``
    covers all rows of the samples, −1 where unlabelled.
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
    """Return ``rows`` in the order of ``epoch``: a permutation that depends on (seed, epoch) only.

    With ``windows``, shards are permuted, the permutation is cut into windows of ``windows.shards`` shards, and rows
    are permuted within their window. A single window of all shards gives the same order as no windows.
    """
    keys = bits(seed, epoch, torch.from_numpy(rows), Stream.ORDER).numpy()
    if windows is None:
        return rows[np.argsort(keys)]
    shards = torch.arange(len(windows.starts))
    places = np.argsort(np.argsort(bits(seed, epoch, shards, Stream.SHARD).numpy()))
    window = (places // windows.shards)[np.searchsorted(windows.starts, rows, side="right") - 1]
    return rows[np.lexsort((keys, window))]
