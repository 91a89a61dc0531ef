"""The order of an epoch's samples: a function of (seed, epoch), over all of them or over windows of shards."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from tutelage.data.hashing import Stream, bits
from tutelage.data.source import Rows


@dataclass(frozen=True, eq=False)
class Windows:
    """How samples that lie in shards are shuffled so that few shards are in use at a time."""

    starts: Rows
    """The first row of each shard."""
    shards: int
    """In a window."""


def rebalanced(order: Rows, labels: Rows, seed: int, epoch: int) -> Rows:
    """Return as many rows as ``order`` has, its classes equally often; ``labels`` are of all rows, −1 if unlabelled.

    Rows of rare classes repeat, those of frequent ones take turns from epoch to epoch; unlabelled rows stay.
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
    """Returns ``rows`` in the order of ``epoch``: a permutation that (seed, epoch) alone decide.

    With ``windows``, shards are permuted, the permutation is cut into windows of so many shards, and rows are permuted
    within their window. A window of all shards gives what none gives.
    """
    keys = bits(seed, epoch, torch.from_numpy(rows), Stream.ORDER).numpy()
    if windows is None:
        return rows[np.argsort(keys)]
    shards = torch.arange(len(windows.starts))
    places = np.argsort(np.argsort(bits(seed, epoch, shards, Stream.SHARD).numpy()))
    window = (places // windows.shards)[np.searchsorted(windows.starts, rows, side="right") - 1]
    return rows[np.lexsort((keys, window))]
