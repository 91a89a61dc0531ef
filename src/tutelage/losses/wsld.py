"""Weighted soft label distillation (WSLD).

Zhou et al., "Rethinking Soft Labels for Knowledge Distillation: A Bias-Variance Tradeoff Perspective", ICLR 2021,
https://arxiv.org/abs/2102.00650.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from tutelage.losses.labels import labeled_mean, require_labels
from tutelage.losses.logits import require_logits, require_temperature, softmax_cross_entropy
from tutelage.losses.precision import full_precision

# Added to the teacher's cross-entropy, as in the code of cls_KD.
EPSILON = 1e-7


@full_precision
def wsld_loss(
    student_logits: Tensor,
    teacher_logits: Tensor,
    labels: Tensor,
    *,
    alpha: float = 2.5,
    temperature: float = 2.0,
) -> Tensor:
    """Return the soft cross-entropy, weighted by how much worse the student is than the teacher on each sample.

    With p = softmax(z / T) and the cross-entropies CE with the label at T = 1, averaged over the labeled samples:

        α · T² · w · (−Σ_k p_t·log p_s), with w = 1 − exp(−CE_s / (CE_t + 10⁻⁷))

    w is detached. The defaults are the authors' for ImageNet; they add the cross-entropy with weight 1.

    Args:
        student_logits: The student's logits (B, K).
        teacher_logits: The teacher's logits (B, K), detached here; ``kd_target`` is the target to cache.
        labels: Class indices (B,); samples labeled -1 are left out.
        alpha: The weight α.
        temperature: The temperature T, positive.

    Returns:
        The loss, a scalar.

    Raises:
        TutelageError: If shapes differ, ``labels`` are not class indices or ``temperature`` is not positive.

    Example:
        >>> import torch
        >>> from tutelage.losses import wsld_loss
        >>> logits = torch.zeros(1, 2)
        >>> round(wsld_loss(logits, logits, torch.tensor([0])).item(), 3)  # 2.5 · 4 · (1 − 1/e) · log 2
        4.382
    """
    require_logits(student_logits, teacher_logits, "wsld")
    require_labels(labels, student_logits, "wsld")
    require_temperature(temperature, "wsld", usual=2.0)
    teacher_logits = teacher_logits.detach()
    ratio = _cross_entropy(student_logits.detach(), labels) / (_cross_entropy(teacher_logits, labels) + EPSILON)
    soft = softmax_cross_entropy(student_logits / temperature, teacher_logits / temperature)
    return alpha * temperature**2 * labeled_mean(-torch.expm1(-ratio) * soft, labels)


def _cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    return F.cross_entropy(logits, labels, reduction="none", ignore_index=-1)
