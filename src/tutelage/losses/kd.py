"""Knowledge distillation loss on softened class probabilities.

Hinton, Vinyals and Dean, "Distilling the Knowledge in a Neural Network", 2015, https://arxiv.org/abs/1503.02531.
"""

from __future__ import annotations

import math
from typing import Literal

import torch.nn.functional as F
from torch import Tensor

from tutelage.errors import unknown
from tutelage.losses.logits import require_logits, require_temperature, softmax_kl
from tutelage.losses.precision import full_precision
from tutelage.losses.standardization import standardize as standardized

Average = Literal["logits", "probabilities"]
AVERAGES = ("logits", "probabilities")


def kd_loss(
    student_logits: Tensor, teacher_logits: Tensor, temperature: float = 4.0, *, standardize: bool = False
) -> Tensor:
    """Return the KL divergence between the softened class probabilities of teacher and student.

    T² · KL(p_t ‖ p_s) with p = softmax(logits / T), averaged over the batch. The factor T² makes the size of the
    gradient independent of T. The usual CIFAR setting is T = 4 with weight α = 0.9 on this term and 1 − α on the
    cross-entropy (attention-transfer code, RepDistiller).

    Args:
        student_logits: The student's logits (B, K).
        teacher_logits: The teacher's logits (B, K).
        temperature: The temperature T, positive.
        standardize: Whether to ``standardize`` the logits of both networks first (LSKD). Its authors set T = 2, the
            weight of this term to 9 and that of the cross-entropy to 0.1 (CIFAR) or 1 (ImageNet).

    Returns:
        The loss, a scalar.

    Raises:
        TutelageError: If the shapes differ or ``temperature`` is not positive.

    Example:
        >>> import torch
        >>> from tutelage.losses import kd_loss
        >>> logits = torch.tensor([[2.0, -1.0, 0.5]])
        >>> round(kd_loss(logits, 2 * logits, temperature=4.0).item(), 4)
        0.6207
    """
    return kd_match(student_logits, kd_target(teacher_logits), temperature, standardize=standardize)


@full_precision
def kd_target(teacher_logits: Tensor) -> Tensor:
    """Return the teacher's logits, detached.

    The logits are not softened, so one cached target serves every temperature.

    Args:
        teacher_logits: The teacher's logits (B, K).

    Returns:
        The target (B, K).

    Example:
        >>> import torch
        >>> from tutelage.losses import kd_target
        >>> kd_target(torch.randn(2, 10, requires_grad=True)).requires_grad
        False
    """
    return teacher_logits.detach()


@full_precision
def ensemble_target(teacher_logits: Tensor, temperature: float = 4.0, average: Average = "logits") -> Tensor:
    """Return the target of several teachers, detached.

    Hinton et al. allow either average.

    Args:
        teacher_logits: The logits (M, B, K) of M teachers.
        temperature: The temperature T, positive. Only used by "probabilities".
        average: "logits" averages the logits. "probabilities" returns T·log of the mean of softmax(z / T), whose
            softened probabilities at the same T are the mean of the teachers' softened probabilities.

    Returns:
        A target (B, K) for ``kd_match``.

    Raises:
        TutelageError: If ``average`` is unknown.

    Example:
        >>> import torch
        >>> from tutelage.losses import ensemble_target
        >>> ensemble_target(torch.tensor([[[1.0, 3.0]], [[3.0, 5.0]]]))
        tensor([[2., 4.]])
    """
    if average not in AVERAGES:
        raise unknown("kd ensemble", average, AVERAGES)
    logits = teacher_logits.detach()
    if average == "logits":
        return logits.mean(0)
    log_probabilities = F.log_softmax(logits / temperature, dim=2)
    return temperature * (log_probabilities.logsumexp(0) - math.log(logits.shape[0]))


@full_precision
def kd_match(student_logits: Tensor, target: Tensor, temperature: float = 4.0, *, standardize: bool = False) -> Tensor:
    """Return ``kd_loss`` from the student's logits and a cached target.

    Args:
        student_logits: The student's logits (B, K).
        target: Output of ``kd_target`` or ``ensemble_target`` (B, K).
        temperature: The temperature T, positive.
        standardize: Whether to ``standardize`` the logits of both networks first.

    Returns:
        The loss, a scalar.

    Raises:
        TutelageError: If the shapes differ or ``temperature`` is not positive.

    Example:
        >>> import torch
        >>> from tutelage.losses import kd_match, kd_target
        >>> logits = torch.zeros(2, 10)
        >>> kd_match(logits, kd_target(logits))
        tensor(0.)
    """
    require_logits(student_logits, target, "kd")
    require_temperature(temperature, "kd")
    if standardize:
        student_logits, target = standardized(student_logits), standardized(target)
    return softmax_kl(student_logits / temperature, target / temperature).mean() * temperature**2
