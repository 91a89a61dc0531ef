"""Knowledge distillation: the teacher's softened class probabilities.

Hinton, Vinyals and Dean, "Distilling the Knowledge in a Neural Network", 2015, https://arxiv.org/abs/1503.02531.
"""

from __future__ import annotations

import math
from typing import Literal

import torch.nn.functional as F
from torch import Tensor

from tutelage.errors import TutelageError, unknown
from tutelage.losses.precision import full_precision
from tutelage.losses.shapes import require_same_shape

Average = Literal["logits", "probabilities"]
AVERAGES = ("logits", "probabilities")


def kd_loss(student_logits: Tensor, teacher_logits: Tensor, temperature: float = 4.0) -> Tensor:
    """T² · KL(p_t ‖ p_s) with p = softmax(logits / T), mean over the batch.

    Both logits are (B, K). The factor T² keeps the gradient's size independent of T. T = 4 with weight α = 0.9 on
    this term and 1 − α on the cross entropy is the usual CIFAR setting (attention-transfer code, RepDistiller).
    Raises TutelageError where the shapes differ or ``temperature`` is not positive.
    """
    return kd_match(student_logits, kd_target(teacher_logits), temperature)


@full_precision
def kd_target(teacher_logits: Tensor) -> Tensor:
    """The teacher's logits (B, K), detached; not softened, so that one cached target serves every temperature."""
    return teacher_logits.detach()


@full_precision
def ensemble_target(teacher_logits: Tensor, temperature: float = 4.0, average: Average = "logits") -> Tensor:
    """One :func:`kd_target` (B, K) of the logits (M, B, K) of M teachers, detached.

    ``average``: "logits" is their mean; "probabilities" gives T·log of the mean of softmax(z / T), whose softened
    probabilities at the same temperature are the mean of the teachers' (Hinton et al. mean either). Raises
    TutelageError for another ``average``.
    """
    if average not in AVERAGES:
        raise unknown("kd ensemble", average, AVERAGES)
    logits = teacher_logits.detach()
    if average == "logits":
        return logits.mean(0)
    log_probabilities = F.log_softmax(logits / temperature, dim=2)
    return temperature * (log_probabilities.logsumexp(0) - math.log(logits.shape[0]))


@full_precision
def kd_match(student_logits: Tensor, target: Tensor, temperature: float = 4.0) -> Tensor:
    """:func:`kd_loss` of the student's logits (B, K) and a :func:`kd_target`."""
    require_same_shape(student_logits, target, "kd", "both need one logit for each class of the data")
    if temperature <= 0:
        raise TutelageError(f"kd: temperature {temperature} must be positive (4.0 is usual)")
    student_log = F.log_softmax(student_logits / temperature, dim=1)
    # Probabilities rather than their logarithms: a class the teacher rules out (a logit of −inf) then adds 0, not NaN.
    teacher = F.softmax(target / temperature, dim=1)
    return F.kl_div(student_log, teacher, reduction="batchmean") * temperature**2
