"""The task itself: the cross-entropy with the labels."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from tutelage.losses import full_precision


@full_precision
def task_loss(
    logits: Tensor, labels: Tensor, label_smoothing: float = 0.0, class_weights: Tensor | None = None
) -> Tensor:
    """Returns the cross-entropy of (B, K) logits with hard or soft labels, mean over what is labelled.

    Hard labels (B,) are classes, −1 where unlabelled. Soft labels (B, K), floating point, are weights of the classes:
    −Σ y_k log p_k over the batch, divided by Σ y_k. So one-hot rows give what hard labels give, and a row that sums to
    less than one, a mixture with an unlabelled image, counts for less. Smoothing spreads that part of a row's own sum
    evenly over the classes. A batch without labels gives 0.

    ``class_weights`` (K,) multiply each class's share y_k log p_k. The sum is still divided by the number of labels,
    not by their weights: a batch cut into equal parts, or shared by processes, gives the same mean.
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
