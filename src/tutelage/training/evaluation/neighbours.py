"""Measure features without a classifier, by nearest neighbors among the training images."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from tutelage.console import Advance
from tutelage.data import EvalLoader, Split, stratified

if TYPE_CHECKING:
    from accelerate import Accelerator

NEIGHBOURS = 20
TEMPERATURE = 0.07
BANK = 5000
"""Number of training images to compare with, balanced over classes: a reliable estimate that is quick to read."""


def nearest_classes(bank: Tensor, labels: Tensor, features: Tensor, classes: int) -> Tensor:
    """Return the class (B,) that the 20 nearest features of the bank vote for, as in DINO's protocol.

    Similarity is the cosine, and each neighbor's vote is weighted by exp(cosine / 0.07) (Wu et al., 2018; Caron et al.,
    2021).

    Args:
        bank: Features to compare with, (N, D).
        labels: Labels of the bank, (N,).
        features: Features to classify, (B, D).
        classes: Number of classes.
    """
    cosines = F.normalize(features, dim=1) @ F.normalize(bank, dim=1).T
    cosines, nearest = cosines.topk(min(NEIGHBOURS, len(bank)))
    votes = F.one_hot(labels[nearest], classes) * (cosines / TEMPERATURE).exp().unsqueeze(2)
    return votes.sum(1).argmax(1)


@torch.no_grad()
def neighbour_accuracy(
    embed: Callable[[Tensor], Tensor],
    train: Split,
    split: Split,
    classes: int,
    batch_size: int,
    engine: Accelerator,
    advance: Advance = lambda count: None,
) -> float | None:
    """Return the percentage of labeled images whose neighbors in ``train`` vote for their class.

    Args:
        embed: Function from unnormalized images to features (B, D).
        train: Split whose images are compared with.
        split: Split to classify.
        classes: Number of classes.
        batch_size: Images per batch and process.
        engine: The accelerator of the run.
        advance: Called after each batch with the number of images it covers, out of ``bank_size(train) + len(split)``.

    Returns:
        The percentage, or None if ``train`` or ``split`` has no labels.
    """
    own = EvalLoader(_bank(train), batch_size)
    shared = EvalLoader(split, batch_size, engine.process_index, engine.num_processes)
    bank, bank_labels = _embed(embed, own, engine, advance)
    features, labels = _embed(embed, shared, engine, lambda count: advance(count * engine.num_processes))
    hits = torch.zeros(2, device=engine.device)
    if len(bank) and len(features):
        found = [nearest_classes(bank, bank_labels, part, classes) for part in features.split(batch_size)]
        hits += torch.stack([(torch.cat(found) == labels).sum(), torch.tensor(len(labels), device=labels.device)])
    right, seen = engine.reduce(hits, "sum").tolist()
    return 100 * right / seen if seen else None


def bank_size(train: Split) -> int:
    """Return the number of training images to compare with."""
    return len(_bank(train))


def _bank(train: Split) -> Split:
    labels = train.samples.labels
    rows = train.rows[labels[train.rows] >= 0]
    return Split(train.samples, stratified(labels, rows, min(1.0, BANK / max(1, len(rows))), seed=0))


def _embed(
    embed: Callable[[Tensor], Tensor], loader: EvalLoader, engine: Accelerator, advance: Advance
) -> tuple[Tensor, Tensor]:
    """Return the features and labels of the labeled images."""
    features, labels = [torch.empty(0, device=engine.device)], [torch.empty(0, dtype=torch.int64)]
    for batch in loader:
        images = batch.images.to(engine.device).contiguous(memory_format=torch.channels_last)
        known = batch.labels >= 0
        with engine.autocast():
            embedded = embed(images).float()
        features.append(embedded[known.to(engine.device)])
        labels.append(batch.labels[known])
        advance(len(known))
    found = [part for part in features if len(part)]
    return torch.cat(found) if found else features[0], torch.cat(labels).to(engine.device)
