"""Transformed teacher matching (TTM) and its weighted form (WTTM).

Zheng and Yang, "Knowledge Distillation Based on Transformed Teacher Matching", ICLR 2024,
https://arxiv.org/abs/2402.11148.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from tutelage.losses.logits import require_logits, require_positive, softmax_kl
from tutelage.losses.precision import full_precision


@full_precision
def ttm_loss(
    student_logits: Tensor,
    teacher_logits: Tensor,
    *,
    gamma: float = 0.1,
    weighted: bool = False,
) -> Tensor:
    """Return the KL divergence of the student's probabilities from a power of the teacher's.

    With p = softmax(z), U = Σ_k p_t[k]^γ and q = p_t^γ / U, which is softmax(γ·z_t), averaged over the batch:

        KL(q ‖ p_s), or U · KL(q ‖ p_s) if ``weighted`` (WTTM)

    Only the teacher is softened, and there is no factor T². U is between 1 and K^(1−γ): large if the teacher is unsure.
    All powers are taken of log-probabilities, so the tail of the teacher survives in float32. The authors' examples add
    the loss with β = 45 to the cross-entropy for TTM with γ = 0.1, and with β = 4 for WTTM with γ = 0.2 next to CRD.

    Args:
        student_logits: The student's logits (B, K).
        teacher_logits: The teacher's logits (B, K), detached here; ``kd_target`` is the target to cache.
        gamma: The exponent γ, positive; 1/γ is the temperature of the teacher.
        weighted: Whether to multiply each sample's divergence by U.

    Returns:
        The loss, a scalar.

    Raises:
        TutelageError: If the shapes differ or ``gamma`` is not positive.

    Example:
        >>> import torch
        >>> from tutelage.losses import ttm_loss
        >>> teacher = torch.tensor([[2.0, -1.0, 0.5]])
        >>> ttm_loss(0.1 * teacher, teacher, gamma=0.1)
        tensor(0.)
    """
    require_logits(student_logits, teacher_logits, "ttm")
    require_positive(gamma, "gamma", "ttm", usual=0.1)
    teacher = gamma * teacher_logits.detach()
    divergence = softmax_kl(student_logits, teacher)
    if weighted:
        divergence = (gamma * F.log_softmax(teacher_logits.detach(), dim=1)).logsumexp(1).exp() * divergence
    return divergence.mean()
