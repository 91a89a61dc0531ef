"""USKD: self-distillation with customized soft labels from the student's own logits and those of a weak head.

Yang et al., "From Knowledge Distillation to Self-Knowledge Distillation: A Unified Approach with Normalized Loss and
Customized Soft Labels", ICCV 2023, https://arxiv.org/abs/2303.13005.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from tutelage.losses.labels import labeled_mean, require_labels
from tutelage.losses.logits import require_logits
from tutelage.losses.precision import full_precision

SMOOTHING = 0.1
EPSILON = 1e-6


@full_precision
def uskd_loss(
    student_logits: Tensor,
    weak_logits: Tensor,
    labels: Tensor,
    *,
    alpha: float = 1.0,
    beta: float = 0.1,
    mu: float = 0.005,
) -> Tensor:
    """Return α · target + β · non-target + μ · weak, the three losses of USKD.

    With the label y and s = softmax(z), averaged over the labeled samples:

    * target: −(s_y² + 1 − the batch mean of s_y²) · log s_y. The weight is detached.
    * non-target: the cross-entropy over the other classes with weights 1 / rank, scaled to sum to 1. Classes are ranked
      by w_k / (1 − w_y) + log s_k / (1 − log s_y), where w is the softmax of the weak head. The logarithm is in the
      authors' code.
    * weak: the cross-entropy of the weak head, with label smoothing 0.1.

    The authors add the cross-entropy of the student.

    Args:
        student_logits: The student's logits (B, K).
        weak_logits: Logits (B, K) of a linear layer on a pooled middle feature of the student.
        labels: Class indices (B,); samples labeled -1 are left out. For mixed images, the shares (B, K) of two classes
            per sample.
        alpha: Weight α of the target loss.
        beta: Weight β of the non-target loss.
        mu: Weight μ of the weak head's loss.

    Returns:
        The loss, a scalar.

    Raises:
        TutelageError: If shapes differ or ``labels`` are not class indices.

    Example:
        >>> import torch
        >>> from tutelage.losses import uskd_loss
        >>> logits = torch.zeros(2, 2)
        >>> uskd_loss(logits, logits, torch.tensor([0, 1]), beta=0.0, mu=0.0)  # log 2
        tensor(0.6931)
    """
    require_logits(student_logits, weak_logits, "uskd")
    shares, classes = _classes_of(labels, student_logits)
    labeled = classes[:, 0] if labels.ndim == 2 else labels
    student = F.log_softmax(student_logits, dim=1)
    own = student.gather(1, classes)

    confidence = own.detach().exp().square()
    average = torch.stack([labeled_mean(column, labeled) for column in confidence.unbind(1)])
    target = -((confidence + shares - average) * own).sum(1)

    is_label = torch.zeros_like(student, dtype=torch.bool).scatter(1, classes, True)
    ranks = _ranks(student.detach(), weak_logits.detach(), classes).to(student.dtype)
    weights = ranks.reciprocal().masked_fill(is_label, 0)
    weights = weights / weights.sum(1, keepdim=True)
    non_target = student_logits.masked_fill(is_label, -torch.inf).logsumexp(1) - (weights * student_logits).sum(1)

    soft_labels = torch.zeros_like(student).scatter(1, classes, shares)
    weak = F.cross_entropy(weak_logits, soft_labels, label_smoothing=SMOOTHING, reduction="none")
    return labeled_mean(alpha * target + beta * non_target + mu * weak, labeled)


def _classes_of(labels: Tensor, logits: Tensor) -> tuple[Tensor, Tensor]:
    """The shares and the indices of each sample's classes, largest share first."""
    if labels.ndim == 2:
        return labels.topk(2, dim=1)
    require_labels(labels, logits, "uskd")
    return torch.ones_like(logits[:, :1]), labels.clamp_min(0)[:, None]


def _ranks(student: Tensor, weak_logits: Tensor, classes: Tensor) -> Tensor:
    """The rank (B, K) of each class, 1 for the likeliest, from the student's log-probabilities and the weak head."""
    weak = F.softmax(weak_logits, dim=1)
    parts = [values / (1 - values.gather(1, classes).sum(1, keepdim=True) + EPSILON) for values in (weak, student)]
    return (parts[0] + parts[1]).argsort(1, descending=True).argsort(1) + 1
