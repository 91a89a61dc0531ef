"""DeiT losses: the teacher's decision, or its probabilities, for the distillation head of the student.

Touvron et al., "Training Data-Efficient Image Transformers & Distillation through Attention", ICML 2021,
https://arxiv.org/abs/2012.12877.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from tutelage.losses.logits import require_logits
from tutelage.losses.precision import full_precision


def deit_loss(student_logits: Tensor, teacher_logits: Tensor) -> Tensor:
    """Return the hard distillation loss of DeiT: the cross-entropy with the class that the teacher predicts.

    The authors weigh it equally with the cross-entropy of the class head. Their soft distillation is ``kd_loss`` of the
    distillation head divided by the number of classes, because they average the KL divergence over the classes too.

    Args:
        student_logits: The logits (B, K) of the student's distillation head.
        teacher_logits: The teacher's logits (B, K).

    Returns:
        The loss, a scalar.

    Raises:
        TutelageError: If the shapes differ.

    Example:
        >>> import torch
        >>> from tutelage.losses import deit_loss
        >>> deit_loss(torch.zeros(2, 10), torch.randn(2, 10))
        tensor(2.3026)
    """
    require_logits(student_logits, teacher_logits, "deit")
    return deit_match(student_logits, deit_target(teacher_logits))


def deit_target(teacher_logits: Tensor) -> Tensor:
    """Return the class that the teacher predicts for each sample.

    Args:
        teacher_logits: The teacher's logits (B, K).

    Returns:
        The target (B,), class indices.

    Example:
        >>> import torch
        >>> from tutelage.losses import deit_target
        >>> deit_target(torch.tensor([[0.1, 0.7, 0.2]]))
        tensor([1])
    """
    return teacher_logits.argmax(1)


@full_precision
def deit_match(student_logits: Tensor, target: Tensor) -> Tensor:
    """Return ``deit_loss`` from the student's logits and a cached target.

    Args:
        student_logits: The logits (B, K) of the student's distillation head.
        target: Output of ``deit_target`` (B,).

    Returns:
        The loss, a scalar.

    Example:
        >>> import torch
        >>> from tutelage.losses import deit_match
        >>> deit_match(torch.zeros(2, 10), target=torch.tensor([3, 7]))
        tensor(2.3026)
    """
    return F.cross_entropy(student_logits, target)
