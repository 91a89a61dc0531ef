"""Normalized knowledge distillation (NKD).

Yang et al., "From Knowledge Distillation to Self-Knowledge Distillation: A Unified Approach with Normalized Loss and
Customized Soft Labels", ICCV 2023, https://arxiv.org/abs/2303.13005.
"""

from __future__ import annotations

from torch import Tensor

from tutelage.losses.labels import labeled_mean, require_labels, without_label
from tutelage.losses.logits import require_logits, require_temperature, softmax_cross_entropy
from tutelage.losses.precision import full_precision
from tutelage.losses.target_class import target_class_loss


@full_precision
def nkd_loss(
    student_logits: Tensor,
    teacher_logits: Tensor,
    labels: Tensor,
    *,
    gamma: float = 1.5,
    temperature: float = 1.0,
) -> Tensor:
    """Return the NKD loss: a soft cross-entropy for the label's class and one for the other classes.

    With the label y, p = softmax(z) and q the softmax of z / T over the other K − 1 classes, averaged over the labeled
    samples:

        −p_t[y] · log p_s[y] − γ · T² · Σ_k q_t[k] · log q_s[k]

    The first term is never softened, as in the authors' code. Both are cross-entropies, so the loss of equal networks
    is not 0. The defaults are the authors' for ImageNet; they add the cross-entropy with weight 1.

    Args:
        student_logits: The student's logits (B, K).
        teacher_logits: The teacher's logits (B, K), detached here; ``kd_target`` is the target to cache.
        labels: Class indices (B,); samples labeled -1 are left out.
        gamma: The weight γ of the other classes.
        temperature: The temperature T of the other classes, positive.

    Returns:
        The loss, a scalar.

    Raises:
        TutelageError: If shapes differ, ``labels`` are not class indices or ``temperature`` is not positive.

    Example:
        >>> import torch
        >>> from tutelage.losses import nkd_loss
        >>> logits = torch.zeros(1, 3)
        >>> nkd_loss(logits, logits, torch.tensor([0]), gamma=1.0)  # ⅓ · log 3 + log 2
        tensor(1.0594)
    """
    require_logits(student_logits, teacher_logits, "nkd")
    require_labels(labels, student_logits, "nkd")
    require_temperature(temperature, "nkd", usual=1.0)
    student = without_label(student_logits / temperature, labels)
    teacher = without_label(teacher_logits.detach() / temperature, labels)
    of_others = temperature**2 * labeled_mean(softmax_cross_entropy(student, teacher), labels)
    return target_class_loss(student_logits, teacher_logits, labels) + gamma * of_others
