"""Choose the rows of each split."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from tutelage.data.hashing import Stream, bits
from tutelage.data.source import Rows
from tutelage.errors import TutelageError


def stratified(labels: Rows, rows: Rows, share: float, seed: int) -> Rows:
    """Return a fraction of the rows of each class, at least one per class.

    The choice is nested: a larger fraction with the same seed includes all rows of a smaller one.

    Args:
        labels: Labels of all rows of the data.
        rows: Rows to choose from.
        share: The fraction, in (0, 1].
        seed: Seed of the choice.

    Returns:
        The chosen rows, sorted.
    """
    order = rows[np.argsort(bits(seed, 0, torch.from_numpy(rows), Stream.SPLIT).numpy())]
    # One sort is faster than a search per class for millions of rows and thousands of classes.
    by_class = order[np.argsort(labels[order], kind="stable")]
    _, first, count = np.unique(labels[by_class], return_index=True, return_counts=True)
    wanted = np.maximum(1, (count * share + 0.5).astype(np.int64))
    place = np.arange(len(by_class)) - np.repeat(first, count)
    return np.sort(by_class[place < np.repeat(wanted, count)])


def to_unlabel(labels: Rows, rows: Rows, share: float, seed: int) -> Rows:
    """Return the labeled rows among ``rows`` that lose their label if only a fraction of the labels is kept.

    The rows that keep theirs are chosen by ``stratified``.
    """
    labelled = rows[labels[rows] >= 0]
    return without(labelled, stratified(labels, labelled, share, seed))


def without(rows: Rows, taken: Rows) -> Rows:
    """Return the rows that are not in ``taken``, sorted."""
    return np.setdiff1d(rows, taken, assume_unique=True)


def carve_validation(labels: Rows, rows: Rows, share: float, seed: int, classes: Sequence[str]) -> Rows:
    """Return the rows to hold out for validation, chosen by ``stratified``.

    Unlabeled rows and classes with a single image are not held out. If no row has a label, all rows count as one class.

    Raises:
        TutelageError: If a class would be left without a training image.
    """
    if (labels[rows] < 0).all():
        return stratified(labels, rows, share, seed)
    counts = np.bincount(labels[rows][labels[rows] >= 0], minlength=len(classes))
    held_out = stratified(labels, rows[(labels[rows] >= 0) & (counts[labels[rows]] > 1)], share, seed)
    left = counts - np.bincount(labels[held_out], minlength=len(classes))
    emptied = np.flatnonzero((counts > 0) & (left == 0))
    if len(emptied):
        name, count = classes[emptied[0]], counts[emptied[0]]
        raise TutelageError(
            f"data.validation={share:g} holds out all {count} images of class '{name}', which leaves none to train on; "
            f"lower data.validation"
        )
    return held_out


def carve_from_shards(starts: Rows, labels: Rows, rows: Rows, share: float, seed: int, classes: Sequence[str]) -> Rows:
    """Return the rows to hold out as ``carve_validation`` does, but only from some shards and about half of each.

    Validation then only needs these shards. ``starts`` are the first rows of all shards.
    """
    shards = torch.arange(len(starts))
    order = np.argsort(bits(seed, 0, shards, Stream.SHARD).numpy())
    own = np.searchsorted(starts, rows, side="right") - 1
    taken = np.cumsum(np.bincount(own, minlength=len(starts))[order]) >= min(1, 2 * share) * len(rows)
    chosen = np.isin(own, order[: int(np.argmax(taken)) + 1])
    return carve_validation(labels, rows[chosen], share * len(rows) / chosen.sum(), seed, classes)
