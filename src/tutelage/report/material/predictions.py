"""Predictions of a network for all images of a split."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from tutelage.console import phase
from tutelage.data import EvalLoader, Split

BATCH_SIZE = 256


@dataclass(frozen=True, eq=False)
class Predictions:
    """Predictions for the N readable, labeled images of a split, in its order."""

    rows: NDArray[np.int64]
    """(N,) indices of the images in their samples."""
    labels: NDArray[np.int64]
    """(N,) true classes."""
    classes: NDArray[np.int64]
    """(N,) predicted classes."""
    confidence: NDArray[np.float32]
    """(N,) probability of the predicted class, from 0 to 1."""

    @property
    def right(self) -> NDArray[np.bool_]:
        return self.classes == self.labels

    @property
    def top1(self) -> float:
        """Accuracy in percent."""
        return 100 * float(self.right.mean())


@torch.no_grad()
def predict(classifier: nn.Module, split: Split, name: str) -> Predictions:
    """Run ``classifier`` on the unnormalized images of ``split`` in float32; ``name`` is shown in the progress bar."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    classifier = classifier.to(device).to(memory_format=torch.channels_last).eval()
    parts = []
    with phase(f"predictions of {name}", len(split)) as advance:
        for batch in EvalLoader(split, BATCH_SIZE):
            images = batch.images.to(device).contiguous(memory_format=torch.channels_last)
            confidence, classes = classifier(images).float().softmax(1).max(1)
            parts.append((batch.index.cpu(), batch.labels.cpu(), classes.cpu(), confidence.cpu()))
            advance(len(batch.labels))
    columns = [torch.cat(column).numpy() for column in zip(*parts)]
    labelled = columns[1] >= 0
    return Predictions(*(column[labelled] for column in columns))
