"""DIST: match the correlations of the predictions between and within classes.

Huang et al., "Knowledge Distillation from A Stronger Teacher", NeurIPS 2022, https://arxiv.org/abs/2205.10536.
"""

from __future__ import annotations

import torch
from torch import Tensor

from tutelage.losses.logits import require_logits, require_temperature
from tutelage.losses.precision import full_precision

# Added to the product of the norms, as in the authors' code.
EPSILON = 1e-8


@full_precision
def dist_loss(
    student_logits: Tensor,
    teacher_logits: Tensor,
    *,
    beta: float = 1.0,
    gamma: float = 1.0,
    temperature: float = 4.0,
) -> Tensor:
    """Return the DIST loss: how little the softened class probabilities of student and teacher are correlated.

    With p = softmax(z / T) of shape (B, K) and the Pearson correlation ρ:

        T² · (β · mean_b (1 − ρ(p_s[b, :], p_t[b, :])) + γ · mean_k (1 − ρ(p_s[:, k], p_t[:, k])))

    The first term compares the classes of a sample, the second the samples of the batch, so the loss depends on how
    samples are grouped in batches. A row or column that is constant in the student has ρ = 0 and no gradient; in the
    authors' code, its gradient is about 10⁶. The authors add the loss with weight 2 to the cross-entropy, with T = 4
    for CIFAR-100 and T = 1 for ImageNet.

    Args:
        student_logits: The student's logits (B, K).
        teacher_logits: The teacher's logits (B, K), detached here; ``kd_target`` is the target to cache.
        beta: The weight of the correlation between classes.
        gamma: The weight of the correlation between samples.
        temperature: The temperature T, positive.

    Returns:
        The loss, a scalar.

    Raises:
        TutelageError: If the shapes differ or ``temperature`` is not positive.

    Example:
        >>> import torch
        >>> from tutelage.losses import dist_loss
        >>> student = torch.tensor([[2.0, 0.0], [0.0, 1.0]])
        >>> round(dist_loss(student, -student).item(), 3)  # both correlations are −1
        64.0
    """
    require_logits(student_logits, teacher_logits, "dist")
    require_temperature(temperature, "dist")
    student = (student_logits / temperature).softmax(1)
    teacher = (teacher_logits.detach() / temperature).softmax(1)
    between_classes = 1 - _correlation(student, teacher).mean()
    between_samples = 1 - _correlation(student.T, teacher.T).mean()
    return temperature**2 * (beta * between_classes + gamma * between_samples)


def _correlation(student: Tensor, teacher: Tensor) -> Tensor:
    """Return the Pearson correlation of each pair of rows."""
    student_centered = student - student.mean(1, keepdim=True)
    teacher_centered = teacher - teacher.mean(1, keepdim=True)
    spread = torch.linalg.vector_norm(student_centered, dim=1)
    # The spread of a constant row is a rounding error, and its direction noise.
    rounding = 4 * torch.finfo(student.dtype).eps * torch.linalg.vector_norm(student, dim=1)
    norms = spread * torch.linalg.vector_norm(teacher_centered, dim=1) + EPSILON
    return (student_centered * teacher_centered).sum(1) / norms.masked_fill(spread <= rounding, float("inf"))
