"""OFA-KD losses: logits of the student's exits against the teacher's, with a stronger target class.

Hao et al., "One-for-All: Bridge the Gap Between Heterogeneous Architectures in Knowledge Distillation", NeurIPS 2023,
https://arxiv.org/abs/2310.19444.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from tutelage.losses.labels import labeled_mean, of_label, require_labels
from tutelage.losses.logits import require_logits, require_positive, require_temperature
from tutelage.losses.precision import full_precision


@full_precision
def ofa_loss(
    student_logits: Tensor, teacher_logits: Tensor, labels: Tensor, *, eps: float = 1.0, temperature: float = 1.0
) -> Tensor:
    """Return a cross-entropy whose target emphasizes the label's class.

    −Σ_k [(p_t[k] + 1_{k=y})^ε − 1_{k=y}] · log p_s[k] with the label y and p = softmax(z / T), averaged over the
    labeled samples. With ε = 1 it is the cross-entropy with the teacher's probabilities. There is no factor T². The
    authors add this loss for the student's logits and each of its exits, with ε from 1 to 1.5, to the cross-entropy.
    Everything is computed from log-probabilities; the authors' code gives NaN in float32 for confident networks.

    Args:
        student_logits: The student's logits (B, K), its own or those of an exit.
        teacher_logits: The teacher's logits (B, K), detached here; ``kd_target`` is the target to cache.
        labels: Class indices (B,); samples labeled -1 are left out.
        eps: The exponent ε, positive.
        temperature: The temperature T, positive.

    Returns:
        The loss, a scalar.

    Raises:
        TutelageError: If shapes differ, ``labels`` are not class indices, or a setting is not positive.

    Example:
        >>> import torch
        >>> from tutelage.losses import ofa_loss
        >>> logits = torch.zeros(1, 2)
        >>> ofa_loss(logits, logits, torch.tensor([0]), eps=2.0)  # (1.5² − 1 + 0.5²) · log 2
        tensor(1.0397)
    """
    require_logits(student_logits, teacher_logits, "ofa")
    require_labels(labels, student_logits, "ofa")
    require_positive(eps, "eps", "ofa", usual=1.0)
    require_temperature(temperature, "ofa", usual=1.0)
    student = F.log_softmax(student_logits / temperature, dim=1)
    teacher = F.log_softmax(teacher_logits.detach() / temperature, dim=1)
    powers = (eps * teacher).exp()
    emphasized = (eps * of_label(teacher, labels).exp().log1p()).expm1()
    of_all = (powers * student).sum(1)
    emphasis = (emphasized - of_label(powers, labels)) * of_label(student, labels)
    return -labeled_mean(of_all + emphasis, labels)
