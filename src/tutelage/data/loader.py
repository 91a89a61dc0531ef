"""Loaders: batches of un-normalised images with labels and indices, in an order that is a function of (seed, epoch)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from tutelage.data.batch import Batch
from tutelage.data.images import Split
from tutelage.data.order import rebalanced, shuffled
from tutelage.data.source import Rows
from tutelage.errors import TutelageError


class TrainLoader:
    """Shuffled training batches.

    The order is a permutation by (seed, epoch) alone, within windows of shards where data are streamed, cut into global
    batches of which each process takes its equal share: any number of processes sees the same global batches. The
    incomplete last batch is dropped; a split smaller than a batch is one batch. In a balanced split classes are equally
    frequent: samples of rare ones repeat within an epoch, in the same view.

    Args:
        split: what is trained on.
        batch_size: of the global batch, the sum over processes.
        seed: of the order.
        rank: this process, of ``world``.

    Raises :class:`TutelageError` where the batch cannot be shared out equally.
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
        """Yields this process's batches in the order of ``epoch``, from step ``first`` on; one epoch at a time.

        Images that are cropped as they are decoded are so for ``view``, or for ``epoch`` where that is None.
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
            raise TutelageError(f"not one image of a batch can be read; the first: {fault}")

    def read(self, groups: Sequence[Rows], view: int) -> Iterator[Batch]:
        """Yields a batch for each group of samples, at ``view``; none for a group of which nothing can be read."""
        return self._reader.read(groups, view)


class EvalLoader:
    """Every sample of a split once over all processes together; nothing is repeated to fill a batch.

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
