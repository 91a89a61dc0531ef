"""Helpers of the losses that read labels: class indices (B,), with −1 for samples without a label."""

from __future__ import annotations

import torch
from torch import Tensor

from tutelage.errors import TutelageError


def require_labels(labels: Tensor, logits: Tensor, place: str) -> None:
    """Raise TutelageError unless ``labels`` holds one class index per sample of ``logits``."""
    if labels.shape != logits.shape[:1] or labels.is_floating_point():
        raise TutelageError(
            f"{place}: expected integer labels of shape ({logits.shape[0]},), "
            f"got {labels.dtype} of shape {tuple(labels.shape)}; "
            "pass one class index per sample, or -1 for samples without a label"
        )


def labeled_mean(values: Tensor, labels: Tensor) -> Tensor:
    """Return the mean of ``values`` (B,) over the labeled samples, 0 if there are none."""
    labeled = labels >= 0
    return torch.where(labeled, values, 0).sum() / labeled.sum().clamp_min(1)


def of_label(values: Tensor, labels: Tensor) -> Tensor:
    """Return the entry (B,) of ``values`` (B, K) at the label; at class 0 for samples without a label."""
    return values.gather(1, labels.clamp_min(0)[:, None]).squeeze(1)


def without_label(values: Tensor, labels: Tensor) -> Tensor:
    """Return ``values`` (B, K) without the label's entry, (B, K − 1); without class 0 for samples without a label."""
    others = torch.arange(values.shape[1] - 1, device=values.device)
    return values.gather(1, others + (others >= labels.clamp_min(0)[:, None]))


def log_odds(logits: Tensor, labels: Tensor) -> Tensor:
    """Return log(p_y / (1 − p_y)) of each sample (B,), with p = softmax(logits) and y the label.

    The probability of the other classes is never summed: log(Σ p) loses all digits once the label dominates.
    """
    return of_label(logits, labels) - without_label(logits, labels).logsumexp(1)
