"""Local dense relational logit distillation (LDRLD): pairs of the student's best classes, and the rest.

Xu et al., "Local Dense Logit Relations for Enhanced Knowledge Distillation", ICCV 2025,
https://arxiv.org/abs/2507.15911.
"""

from __future__ import annotations

import torch
from torch import Tensor

from tutelage.errors import TutelageError
from tutelage.losses.logits import binary_kl, require_logits, require_temperature, softmax_kl
from tutelage.losses.precision import full_precision


@full_precision
def ldrld_loss(
    student_logits: Tensor,
    teacher_logits: Tensor,
    *,
    alpha: float = 10.5,
    beta: float = 7.0,
    k: int = 7,
    temperature: float = 4.0,
) -> Tensor:
    """Return α · local + β · rest, the LDRLD loss.

    The classes of each sample are ranked by the student's logits, from 1. KL compares the softmax of the teacher with
    that of the student, both at temperature T, over some classes only; all is averaged over the batch:

    * local = T² · (KL over the best k classes + Σ_{i<j≤k} w_ij · KL over the classes ranked i and j) / (k(k−1)/2 + 1),
      with w_ij = 2·exp(−0.05·(i + j)) / (1.5 + j − i). For k = 2, it is the KL of the one pair alone, times w_12.
    * rest = T² · KL over the other K − k classes.

    The KL divergence of a pair of classes is computed from the difference of their logits. The defaults are the
    authors' for ResNet-32x4 and ResNet-8x4 on CIFAR-100.

    Args:
        student_logits: The student's logits (B, K).
        teacher_logits: The teacher's logits (B, K), detached here; ``kd_target`` is the target to cache.
        alpha: The weight of the local part.
        beta: The weight of the rest.
        k: The number of best classes, from 2 to K.
        temperature: The temperature T, positive.

    Returns:
        The loss, a scalar.

    Raises:
        TutelageError: If the shapes differ, ``k`` is not between 2 and K or ``temperature`` is not positive.

    Example:
        >>> import torch
        >>> from tutelage.losses import ldrld_loss
        >>> logits = torch.tensor([[2.0, -1.0, 0.5]])
        >>> ldrld_loss(logits, logits, k=2)
        tensor(0.)
    """
    require_logits(student_logits, teacher_logits, "ldrld")
    require_temperature(temperature, "ldrld")
    classes = student_logits.shape[1]
    if not 2 <= k <= classes:
        raise TutelageError(f"ldrld: expected k between 2 and the number of classes, {classes}, got {k}")
    ranked = student_logits.argsort(dim=1, descending=True, stable=True)
    student = student_logits.gather(1, ranked) / temperature
    teacher = teacher_logits.detach().gather(1, ranked) / temperature
    rest = softmax_kl(student[:, k:], teacher[:, k:])
    return temperature**2 * (alpha * _local(student[:, :k], teacher[:, :k]) + beta * rest).mean()


def _local(student: Tensor, teacher: Tensor) -> Tensor:
    """Return the local part of each sample (B,) from the logits (B, k) of its best classes, in order of rank."""
    count = student.shape[1]
    first, second = torch.triu_indices(count, count, offset=1, device=student.device)
    of_pairs = binary_kl(student[:, first] - student[:, second], teacher[:, first] - teacher[:, second])
    local = of_pairs @ _pair_weights(first.to(student.dtype) + 1, second.to(student.dtype) + 1)
    # Two classes are a single pair, which is not counted a second time.
    return local if count == 2 else (local + softmax_kl(student, teacher)) / (len(first) + 1)


def _pair_weights(first: Tensor, second: Tensor) -> Tensor:
    """Return the weight of each pair of ranks, which count from 1."""
    return 2 * torch.exp(-0.05 * (first + second)) / (1.5 + second - first)
