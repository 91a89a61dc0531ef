"""Cross-entropy of the label's class, weighted by the teacher's probability of it: a part of NKD and of WKD-L."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from tutelage.losses.labels import labeled_mean, of_label, require_labels
from tutelage.losses.logits import require_logits
from tutelage.losses.precision import full_precision


@full_precision
def target_class_loss(student_logits: Tensor, teacher_logits: Tensor, labels: Tensor) -> Tensor:
    """Return −p_t[y] · log p_s[y] with the label y, averaged over the labeled samples.

    The probabilities are not softened. This is the first term of ``nkd_loss`` and ``wkd_l_loss``.

    Args:
        student_logits: The student's logits (B, K).
        teacher_logits: The teacher's logits (B, K), detached here; ``kd_target`` is the target to cache.
        labels: Class indices (B,); samples labeled -1 are left out.

    Returns:
        The loss, a scalar.

    Raises:
        TutelageError: If shapes differ or ``labels`` are not class indices.

    Example:
        >>> import torch
        >>> from tutelage.losses import target_class_loss
        >>> logits = torch.zeros(2, 2)
        >>> target_class_loss(logits, logits, torch.tensor([0, 1]))  # ½ · log 2
        tensor(0.3466)
    """
    require_logits(student_logits, teacher_logits, "target class")
    require_labels(labels, student_logits, "target class")
    teacher = of_label(F.softmax(teacher_logits.detach(), dim=1), labels)
    return -labeled_mean(teacher * of_label(F.log_softmax(student_logits, dim=1), labels), labels)
