"""Refined logit distillation (RLD): the teacher's confidence in the student's true class, and the classes below it.

Sun et al., "Knowledge Distillation with Refined Logits", ICCV 2025, https://arxiv.org/abs/2408.07703.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from tutelage.losses.labels import labeled_mean, log_odds, of_label, require_labels
from tutelage.losses.logits import binary_kl, require_logits, require_positive, require_temperature
from tutelage.losses.precision import full_precision
from tutelage.losses.standardization import standardize as standardized


@full_precision
def rld_loss(
    student_logits: Tensor,
    teacher_logits: Tensor,
    labels: Tensor,
    *,
    alpha: float = 1.0,
    beta: float = 8.0,
    temperature: float = 4.0,
    alpha_temperature: float = 1.0,
    standardize: bool = False,
) -> Tensor:
    """Return α·SCD + β·MCD, the refined logit distillation loss.

    With the label y, averaged over the labeled samples:

    * SCD (sample confidence) = T_α² · KL((c, 1 − c) ‖ (p_s[y], 1 − p_s[y])), with p = softmax(z / T_α) and c = max p_t.
      The student takes the teacher's confidence, but not its class if that is wrong.
    * MCD (masked correlation) = T² · KL(q_t ‖ q_s), with q the softmax of z / T over the classes whose teacher logit
      is below that of y. It is 0 if there is no such class.

    Computed from log-odds, so it stays finite where the authors' code (the logarithm of a sum of probabilities)
    overflows. The authors add the cross-entropy with weight 1 and raise the weight of this loss linearly over the first
    20 epochs.

    Args:
        student_logits: The student's logits (B, K).
        teacher_logits: The teacher's logits (B, K), detached here; ``kd_target`` is the target to cache.
        labels: Class indices (B,); samples labeled -1 are left out.
        alpha: The weight of SCD.
        beta: The weight of MCD.
        temperature: The temperature T of MCD, positive.
        alpha_temperature: The temperature T_α of SCD, positive.
        standardize: Whether to ``standardize`` the logits of both networks first.

    Returns:
        The loss, a scalar.

    Raises:
        TutelageError: If shapes differ, ``labels`` are not class indices or a temperature is not positive.

    Example:
        >>> import torch
        >>> from tutelage.losses import rld_loss
        >>> student, teacher = torch.tensor([[2.0, -1.0, 0.5]]), torch.tensor([[1.0, -1.0, 2.0]])
        >>> round(rld_loss(student, teacher, torch.tensor([0])).item(), 4)  # one class is below the label: MCD is 0
        0.0177
    """
    require_logits(student_logits, teacher_logits, "rld")
    require_labels(labels, student_logits, "rld")
    require_temperature(temperature, "rld")
    require_positive(alpha_temperature, "alpha_temperature", "rld", usual=1.0)
    teacher_logits = teacher_logits.detach()
    if standardize:
        student_logits, teacher_logits = standardized(student_logits), standardized(teacher_logits)
    student, teacher = student_logits / alpha_temperature, teacher_logits / alpha_temperature
    confidence = binary_kl(log_odds(student, labels), log_odds(teacher, teacher.argmax(1)))
    below = teacher_logits < of_label(teacher_logits, labels)[:, None]
    correlation = _kl_within(student_logits / temperature, teacher_logits / temperature, below)
    return labeled_mean(alpha * alpha_temperature**2 * confidence + beta * temperature**2 * correlation, labels)


def _kl_within(student: Tensor, teacher: Tensor, classes: Tensor) -> Tensor:
    """Return the KL divergence of each sample (B,) between the softmaxes over its ``classes`` (B, K), 0 for none."""
    # The softmax over no class at all is NaN: such a sample keeps its logits, and the last mask removes it.
    excluded = ~classes & classes.any(1, keepdim=True)
    student_log, teacher_log = (
        F.log_softmax(logits.masked_fill(excluded, float("-inf")), dim=1).masked_fill(~classes, 0)
        for logits in (student, teacher)
    )
    return (teacher_log.exp() * (teacher_log - student_log)).sum(1)
