"""Streamlined knowledge distillation (SKD): KL divergence and a Mahalanobis distance between similarity matrices.

"Streamlined Knowledge Distillation", CVPR 2026; official code https://github.com/HyunJunSik/StreamLined.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from tutelage.errors import unknown
from tutelage.losses.logits import require_logits, require_positive, require_temperature, softmax_kl
from tutelage.losses.precision import full_precision
from tutelage.losses.shapes import unit_norm

Form = Literal["code", "paper"]
FORMS = ("code", "paper")


@full_precision
def skd_loss(
    student_logits: Tensor,
    teacher_logits: Tensor,
    *,
    temperature: float = 4.0,
    ridge: float = 0.1,
    form: Form = "code",
) -> Tensor:
    """Return the SKD loss: the KL divergence of each sample, plus a distance between the relations of the batch.

    With the cosine similarities Ĝ (B, B) of the logits, D = (Ĝ_s − Ĝ_t) / c and p = softmax(z / T):

        f · KL(p_t ‖ p_s) + g · mean_i √(D_iᵀ · (Cov(D) + λI)⁻¹ · D_i)

    * "paper": f = g = c = 1, as in torchdistill.
    * "code": c = K, f = T² · m and g = n. m is the share of samples whose confidence max softmax(z_t) is at most the
      median (about ½), n the share of classes whose summed probability is. The division by K makes Cov(D) small
      against λI: the distance is close to that without a covariance.

    The square root has no gradient where D_i = 0, instead of NaN. The authors' weights are 0.9 on this loss and 0.1 on
    the cross-entropy.

    Args:
        student_logits: The student's logits (B, K).
        teacher_logits: The teacher's logits (B, K), detached here; ``kd_target`` is the target to cache.
        temperature: The temperature T of the KL divergence, positive.
        ridge: λ, added to the diagonal of the covariance, positive.
        form: "code" or "paper".

    Returns:
        The loss, a scalar.

    Raises:
        TutelageError: If the shapes differ, ``form`` is unknown, or ``temperature`` or ``ridge`` is not positive.

    Example:
        >>> import torch
        >>> from tutelage.losses import skd_loss
        >>> logits = torch.tensor([[2.0, -1.0, 0.5], [0.0, 1.0, 0.0]])
        >>> skd_loss(logits, logits)
        tensor(0.)
    """
    require_logits(student_logits, teacher_logits, "skd")
    require_temperature(temperature, "skd")
    require_positive(ridge, "ridge", "skd", usual=0.1)
    if form not in FORMS:
        raise unknown("skd form", form, FORMS)
    teacher_logits = teacher_logits.detach()
    divergence = softmax_kl(student_logits / temperature, teacher_logits / temperature).mean()
    if form == "paper":
        return divergence + _direction(student_logits, teacher_logits, ridge)
    probability = teacher_logits.softmax(1)
    of_samples, of_classes = _share_to_median(probability.amax(1)), _share_to_median(probability.sum(0))
    direction = _direction(student_logits, teacher_logits, ridge, divisor=student_logits.shape[1])
    return of_samples * temperature**2 * divergence + of_classes * direction


def _share_to_median(values: Tensor) -> Tensor:
    """Return the share of ``values`` (N,) that is not above their median."""
    return (values <= values.median()).to(values.dtype).mean()


def _direction(student: Tensor, teacher: Tensor, ridge: float, divisor: float = 1.0) -> Tensor:
    """Return the mean Mahalanobis length of the rows of D, the difference of the similarity matrices."""
    difference = (_similarities(student) - _similarities(teacher)) / divisor
    batch = len(difference)
    centered = difference - difference.mean(0)
    covariance = centered.T @ centered / max(batch - 1, 1)
    root = torch.linalg.cholesky(covariance + ridge * torch.eye(batch, dtype=student.dtype, device=student.device))
    whitened = torch.linalg.solve_triangular(root, difference.T, upper=False)
    return torch.linalg.vector_norm(whitened, dim=0).mean()


def _similarities(logits: Tensor) -> Tensor:
    unit = unit_norm(logits)
    return unit @ unit.T
