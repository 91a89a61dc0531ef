"""Compare models with PyTorch on real images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from tutelage.console import phase
from tutelage.data import EvalLoader, Split
from tutelage.runs import Predict

BATCH = 50


@dataclass(frozen=True)
class Agreement:
    """Results of one model on one split compared with a reference, in percent."""

    top1: float | None
    """None if no image has a label."""
    same: float
    """Percentage of images with the same prediction as the reference."""
    difference: float
    """Largest absolute difference of a logit."""
    largest: float
    """Largest absolute logit of the reference."""


def spread(split: Split, count: int | None) -> Split:
    """Return ``count`` evenly spaced images of a split, or all if ``count`` is None or larger than the split."""
    if count is None or count >= len(split):
        return split
    return replace(split, rows=split.rows[np.linspace(0, len(split) - 1, count).round().astype(np.int64)])


def batches(split: Split, size: tuple[int, int]) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield evaluation views (B, 3, H, W), uint8 of ``size``, and their labels (B,)."""
    for images, labels, _ in EvalLoader(split, BATCH):
        yield _resize(images.cpu(), size), labels


def _resize(images: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize images for a student whose input size differs from that of its data."""
    if tuple(images.shape[2:]) == size:
        return images
    return F.interpolate(images, size, mode="bilinear", antialias=True)


def measure(models: Mapping[str, Predict], split: Split, size: tuple[int, int], label: str) -> dict[str, Agreement]:
    """Run all models on the images of ``split``, which are read once.

    Args:
        models: Functions from unnormalized uint8 images of ``size`` to logits. The first one is the reference.
        split: The images.
        size: Input size (H, W).
        label: Text of the progress bar.

    Returns:
        Results by the names in ``models``.
    """
    totals = {name: torch.zeros(2, dtype=torch.int64) for name in models}
    differences = dict.fromkeys(models, 0.0)
    seen, labelled, largest = 0, 0, 0.0
    with phase(label, len(split)) as advance:
        for images, labels in batches(split, size):
            logits = {name: predict(images).float() for name, predict in models.items()}
            reference = next(iter(logits.values()))
            for name, own in logits.items():
                predicted = own.argmax(1)
                totals[name] += torch.stack([(predicted == labels).sum(), (predicted == reference.argmax(1)).sum()])
                differences[name] = max(differences[name], (own - reference).abs().max().item())
            seen += len(labels)
            labelled += int((labels >= 0).sum())
            largest = max(largest, reference.abs().max().item())
            advance(len(labels))
    shares = {name: (100 * total).tolist() for name, total in totals.items()}
    return {
        name: Agreement(hits / labelled if labelled else None, same / seen, differences[name], largest)
        for name, (hits, same) in shares.items()
    }
