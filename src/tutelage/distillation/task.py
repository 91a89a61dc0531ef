"""The task: cross-entropy with the labels."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from tutelage.losses import full_precision


@full_precision
def task_loss(
    logits: Tensor, labels: Tensor, label_smoothing: float = 0.0, class_weights: Tensor | None = None
) -> Tensor:
    """Return the cross-entropy of logits with hard or soft labels, averaged over labeled samples.

    For soft labels y, it is −Σ y_k log p_k over the batch, divided by Σ y_k. One-hot rows are thus equivalent to hard
    labels, and a row that sums to less than one (a mixture with an unlabeled image) counts for less. Smoothing spreads
    its fraction of a row's sum evenly over the classes. The loss of a batch without labels is 0.

    Args:
        logits: (B, K).
        labels: Hard labels (B,), −1 if unlabeled, or soft labels (B, K) in floating point.
        label_smoothing: Smoothing factor in [0, 1).
        class_weights: (K,), factors of y_k log p_k. The sum is still divided by the number of labels, not by the sum
            of their weights, so that a batch has the same mean if it is split evenly over processes.

    Returns:
        A scalar, in float32 or better.

    Example:
        >>> task_loss(torch.zeros(3, 2), torch.tensor([0, 1, -1]))
        tensor(0.6931)
    """
    weights = class_weights.to(logits.dtype) if class_weights is not None else None
    if not labels.is_floating_point():
        total = F.cross_entropy(
            logits, labels, weights, ignore_index=-1, reduction="sum", label_smoothing=label_smoothing
        )
        return total / (labels >= 0).sum().clamp(min=1)
    sums = labels.sum(1, keepdim=True)
    smoothed = (1 - label_smoothing) * labels + label_smoothing * sums / labels.shape[1]
    total = F.cross_entropy(logits, smoothed, weights, reduction="sum")
    return total / sums.sum().clamp(min=torch.finfo(sums.dtype).tiny)
