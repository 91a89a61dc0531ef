"""Generalized and improved Kullback-Leibler losses (GKL, IKL): a weighted squared error of logit differences.

Cui et al., "Decoupled Kullback-Leibler Divergence Loss", NeurIPS 2024, https://arxiv.org/abs/2305.13948, and
"Generalized Kullback-Leibler Divergence Loss", 2025, https://arxiv.org/abs/2503.08038.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from tutelage.errors import TutelageError, unknown
from tutelage.losses.labels import labeled_mean, require_labels
from tutelage.losses.logits import require_logits, require_positive, require_temperature, softmax_cross_entropy
from tutelage.losses.precision import full_precision

Version = Literal[1, 2]
VERSIONS = (1, 2)


@full_precision
def gkl_loss(
    student_logits: Tensor,
    teacher_logits: Tensor,
    labels: Tensor,
    *,
    class_means: Tensor | None = None,
    alpha: float = 1.0,
    beta: float = 16.0,
    gamma: float = 0.05,
    temperature: float = 4.0,
    weight_temperature: float = 4.0,
    version: Version = 2,
) -> Tensor:
    """Return the GKL loss (version 2) or the IKL loss (version 1).

    With d = z_t − z_s, weights w (B, K), p = softmax(z / T) and sums over the labeled samples b:

        α · mean_b −Σ_k p_t·log p_s + β/4 · (Σ_b Σ_jk w_j·w_k·(d_j − d_k)²) / N

    * GKL: w = m^γ and N = Σ_b Σ_jk w_j·w_k, one ratio for the batch.
    * IKL: w = m, and N is the number of samples.

    m is the row of ``class_means`` of the sample's label, or softmax(z_t / T_w) without them. The authors average the
    teacher's probabilities by class over the epoch before; see ``ClassMeans`` of ``tutelage.connectors``. The double
    sum is computed in its closed form 2·W·Σ_k w_k·(d_k − d̄)², with W = Σ w and the weighted mean d̄; the authors' code
    builds tensors of shape (B, K, K). The cross-entropy has no factor T². The authors add the cross-entropy with the
    labels with weight 1 and raise the weight of this loss linearly over the first epochs.

    Args:
        student_logits: The student's logits (B, K).
        teacher_logits: The teacher's logits (B, K), detached here; ``kd_target`` is the target to cache.
        labels: Class indices (B,); samples labeled -1 are left out.
        class_means: Mean teacher probabilities (K, K), one row per class. None weights by the sample's own.
        alpha: The weight of the soft cross-entropy.
        beta: The weight of the logit differences.
        gamma: The exponent of the weights, not used by version 1.
        temperature: The temperature T of the soft cross-entropy, positive.
        weight_temperature: The temperature T_w of the weights without ``class_means``, positive.
        version: 2 for GKL, 1 for IKL.

    Returns:
        The loss, a scalar.

    Raises:
        TutelageError: If shapes differ, ``labels`` are not class indices, ``version`` is unknown or a temperature is
            not positive.

    Example:
        >>> import torch
        >>> from tutelage.losses import gkl_loss
        >>> student, teacher = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])
        >>> gkl_loss(student, teacher, torch.tensor([0]), alpha=0.0, beta=1.0, gamma=0.0)  # mean of 0, 4, 4, 0, over 4
        tensor(0.5000)
    """
    require_logits(student_logits, teacher_logits, "gkl")
    require_labels(labels, student_logits, "gkl")
    require_temperature(temperature, "gkl")
    require_positive(weight_temperature, "weight_temperature", "gkl", usual=4.0)
    if version not in VERSIONS:
        raise unknown("gkl version", str(version), map(str, VERSIONS))
    teacher_logits = teacher_logits.detach()
    power = gamma if version == 2 else 1.0
    if class_means is None:
        # The power of the logarithm: a probability that underflows has a power that does not.
        weights = (power * F.log_softmax(teacher_logits / weight_temperature, dim=1)).exp()
    else:
        _require_square(class_means, student_logits.shape[1])
        weights = class_means.detach()[labels.clamp_min(0)] ** power
    weights = weights * (labels >= 0)[:, None]
    total = weights.sum(1)
    error = 2 * total * _weighted_variation(teacher_logits - student_logits, weights)
    count = total.square().sum() if version == 2 else (labels >= 0).sum()
    soft = labeled_mean(softmax_cross_entropy(student_logits / temperature, teacher_logits / temperature), labels)
    return alpha * soft + beta / 4 * error.sum() / _or_one(count)


def _weighted_variation(values: Tensor, weights: Tensor) -> Tensor:
    """Return Σ_k w_k·(x_k − x̄)² of each row, with the weighted mean x̄."""
    mean = (weights * values).sum(1) / _or_one(weights.sum(1))
    return (weights * (values - mean[:, None]).square()).sum(1)


def _or_one(count: Tensor) -> Tensor:
    """Return ``count``, or 1 where it is 0 because no sample has a label."""
    return torch.where(count > 0, count, 1)


def _require_square(class_means: Tensor, classes: int) -> None:
    if class_means.shape != (classes, classes):
        raise TutelageError(
            f"gkl: class_means of shape {tuple(class_means.shape)} does not fit {classes} classes; "
            f"pass one row of {classes} mean probabilities per class"
        )
