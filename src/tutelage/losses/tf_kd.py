"""Teacher-free KD: a virtual teacher that is right with a fixed confidence.

Yuan et al., "Revisiting Knowledge Distillation via Label Smoothing Regularization", CVPR 2020,
https://arxiv.org/abs/1909.11723.
"""

from __future__ import annotations

import torch
from torch import Tensor

from tutelage.errors import TutelageError
from tutelage.losses.labels import labeled_mean, require_labels
from tutelage.losses.logits import require_temperature, softmax_kl
from tutelage.losses.precision import full_precision


@full_precision
def tf_kd_loss(
    student_logits: Tensor, labels: Tensor, *, temperature: float = 20.0, confidence: float = 0.99
) -> Tensor:
    """Return the KL divergence from a virtual teacher to the student.

    KL(softmax(u / T) ‖ softmax(z_s)), where u is ``confidence`` for the label and the same share of the rest for each
    other class, averaged over the labeled samples. As in the authors' code, u goes through the softmax as if it were
    logits, which makes the target almost uniform at T = 20, and the student is not softened. The authors also divide by
    the number of classes and multiply by a factor from 1 to 50. Their self-training variant is ``kd_loss`` with a
    teacher of the student's architecture, divided by the number of classes.

    Args:
        student_logits: The student's logits (B, K).
        labels: Class indices (B,); samples labeled -1 are left out.
        temperature: The temperature T of the virtual teacher, positive.
        confidence: The virtual teacher's probability of the label.

    Returns:
        The loss, a scalar.

    Raises:
        TutelageError: If ``labels`` are not class indices, ``temperature`` is not positive or ``confidence`` is outside
            [0, 1].

    Example:
        >>> import torch
        >>> from tutelage.losses import tf_kd_loss
        >>> virtual_teacher = torch.tensor([[0.99, 0.01]])
        >>> round(tf_kd_loss(virtual_teacher / 20, torch.tensor([0])).item(), 6)
        0.0
    """
    require_labels(labels, student_logits, "tf_kd")
    require_temperature(temperature, "tf_kd", usual=20.0)
    if not 0 <= confidence <= 1:
        raise TutelageError(f"tf_kd: confidence {confidence} must be from 0 to 1; the usual value is 0.99")
    others = (1 - confidence) / max(1, student_logits.shape[1] - 1)
    virtual = torch.full_like(student_logits, others).scatter(1, labels.clamp_min(0)[:, None], confidence)
    return labeled_mean(softmax_kl(student_logits, virtual / temperature), labels)
