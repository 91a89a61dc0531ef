"""Curriculum temperature knowledge distillation (CTKD): a temperature that is learned against the student.

Li et al., "Curriculum Temperature for Knowledge Distillation", AAAI 2023, https://arxiv.org/abs/2211.16231.
"""

from __future__ import annotations

import math

from torch import Tensor

from tutelage.errors import TutelageError
from tutelage.losses.logits import require_logits, softmax_kl
from tutelage.losses.precision import full_precision
from tutelage.losses.standardization import standardize as standardized


@full_precision
def ctkd_loss(
    student_logits: Tensor, teacher_logits: Tensor, temperature: Tensor, *, standardize: bool = False
) -> Tensor:
    """Return T² · KL(p_t ‖ p_s) with p = softmax(z / T), as ``kd_loss``, for a temperature that is a tensor.

    The gradient flows into the temperature too, through both networks' probabilities and through T². The modules
    ``GlobalTemperature`` and ``InstanceTemperature`` of ``tutelage.connectors`` learn one. They reverse its gradient:
    the temperature learns to make the task harder. The authors weight this loss with 0.9 and the cross-entropy with
    0.1.

    Args:
        student_logits: The student's logits (B, K).
        teacher_logits: The teacher's logits (B, K), detached here; ``kd_target`` is the target to cache.
        temperature: The temperature T, positive: one value (1,), or one per sample (B,).
        standardize: Whether to ``standardize`` the logits of both networks first.

    Returns:
        The loss averaged over the batch, a scalar.

    Raises:
        TutelageError: If the shapes of the logits differ, or ``temperature`` is neither (1,) nor (B,).

    Example:
        >>> import torch
        >>> from tutelage.losses import ctkd_loss
        >>> logits = torch.tensor([[2.0, -1.0, 0.5]])
        >>> round(ctkd_loss(logits, 2 * logits, torch.tensor([4.0])).item(), 4)
        0.6207
    """
    require_logits(student_logits, teacher_logits, "ctkd")
    if temperature.shape not in ((1,), student_logits.shape[:1]):
        raise TutelageError(
            f"ctkd: temperature of shape {tuple(temperature.shape)} does not fit a batch of {len(student_logits)}; "
            "pass one value (1,) or one per sample (B,)"
        )
    teacher_logits = teacher_logits.detach()
    if standardize:
        student_logits, teacher_logits = standardized(student_logits), standardized(teacher_logits)
    column = temperature[:, None]
    divergence = softmax_kl(student_logits / column, teacher_logits / column)
    return (temperature.square() * divergence).mean()


def ctkd_strength(epoch: float, *, epochs: float = 10.0, start: float = 0.0, end: float = -1.0) -> float:
    """Return the factor λ of the temperature's gradient: a cosine from ``start`` to ``end``, then constant.

    Args:
        epoch: The epoch. The authors' first epoch is 1, one step down the cosine.
        epochs: The epoch in which ``end`` is reached, positive.
        start: The factor at epoch 0.
        end: The last factor; -1 reverses the gradient.

    Returns:
        The factor, for ``GlobalTemperature`` and ``InstanceTemperature``.

    Example:
        >>> from tutelage.losses import ctkd_strength
        >>> ctkd_strength(0), ctkd_strength(5), ctkd_strength(200)
        (0.0, -0.5, -1.0)
    """
    progress = min(epoch / epochs, 1.0)
    return end + (start - end) * (1 + math.cos(math.pi * progress)) / 2
