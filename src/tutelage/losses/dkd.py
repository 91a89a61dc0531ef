"""Decoupled knowledge distillation (DKD): separate weights for the label's class and for the other classes.

Zhao et al., "Decoupled Knowledge Distillation", CVPR 2022, https://arxiv.org/abs/2203.08679.
"""

from __future__ import annotations

from torch import Tensor

from tutelage.losses.labels import labeled_mean, log_odds, require_labels, without_label
from tutelage.losses.logits import binary_kl, require_logits, require_temperature, softmax_kl
from tutelage.losses.precision import full_precision
from tutelage.losses.standardization import standardize as standardized


@full_precision
def dkd_loss(
    student_logits: Tensor,
    teacher_logits: Tensor,
    labels: Tensor,
    *,
    alpha: float = 1.0,
    beta: float = 8.0,
    temperature: float = 4.0,
    standardize: bool = False,
) -> Tensor:
    """Return α·TCKD + β·NCKD, the decoupled knowledge distillation loss.

    With p = softmax(z / T) and the label y, averaged over the labeled samples:

    * TCKD = T² · KL((p_t[y], 1 − p_t[y]) ‖ (p_s[y], 1 − p_s[y])) compares the probability of the label.
    * NCKD = T² · KL(q_t ‖ q_s), with q the softmax over the other K − 1 classes.

    Both are computed from log-odds, so they stay finite where the authors' code (the logarithm of a sum of
    probabilities, the label's logit lowered by 1000) overflows. The defaults are the authors' for CIFAR-100; their β
    depends on the pair of networks. They add the cross-entropy with weight 1 and raise the weight of this loss linearly
    over the first 20 epochs.

    Args:
        student_logits: The student's logits (B, K).
        teacher_logits: The teacher's logits (B, K), detached here; ``kd_target`` is the target to cache.
        labels: Class indices (B,); samples labeled -1 are left out.
        alpha: The weight of TCKD.
        beta: The weight of NCKD.
        temperature: The temperature T, positive.
        standardize: Whether to ``standardize`` the logits of both networks first. Its authors set T = 2, α = 9 and
            β = 72.

    Returns:
        The loss, a scalar.

    Raises:
        TutelageError: If shapes differ, ``labels`` are not class indices or ``temperature`` is not positive.

    Example:
        >>> import torch
        >>> from tutelage.losses import dkd_loss
        >>> logits, labels = torch.tensor([[2.0, -1.0, 0.5]]), torch.tensor([0])
        >>> round(dkd_loss(logits, 2 * logits, labels).item(), 4)
        2.557
    """
    require_logits(student_logits, teacher_logits, "dkd")
    require_labels(labels, student_logits, "dkd")
    require_temperature(temperature, "dkd")
    teacher_logits = teacher_logits.detach()
    if standardize:
        student_logits, teacher_logits = standardized(student_logits), standardized(teacher_logits)
    student, teacher = student_logits / temperature, teacher_logits / temperature
    of_label = binary_kl(log_odds(student, labels), log_odds(teacher, labels))
    of_others = softmax_kl(without_label(student, labels), without_label(teacher, labels))
    return temperature**2 * labeled_mean(alpha * of_label + beta * of_others, labels)
