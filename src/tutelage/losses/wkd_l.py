"""Wasserstein distance between the class probabilities (WKD-L), with the similarities of the classes as cost.

Lv et al., "Wasserstein Distance Rivals Kullback-Leibler Divergence for Knowledge Distillation", NeurIPS 2024,
https://arxiv.org/abs/2412.08139.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from tutelage.errors import TutelageError
from tutelage.losses.labels import labeled_mean, require_labels
from tutelage.losses.logits import require_logits, require_positive, require_temperature
from tutelage.losses.precision import full_precision
from tutelage.losses.shapes import unit_norm
from tutelage.losses.target_class import target_class_loss

# Added to the cost and to the divisors, as in the authors' code.
EPSILON = 1e-8


@full_precision
def wkd_l_cost(prototypes: Tensor, *, sharpen: float = 1.0) -> Tensor:
    """Return the cost of moving probability from one class to another, from the similarity of their prototypes.

    max(1 − exp(−κ·(1 − cos(w_j, w_k))), 0) + 10⁻⁸, or 1 − cos without sharpening (κ = 0), detached.

    Args:
        prototypes: One vector per class (K, D), such as the weight of the teacher's classifier.
        sharpen: κ, not negative.

    Returns:
        The cost (K, K), symmetric.

    Example:
        >>> import torch
        >>> from tutelage.losses import wkd_l_cost
        >>> wkd_l_cost(torch.tensor([[1.0, 0.0], [0.0, 3.0]]), sharpen=0.0)
        tensor([[1.0000e-08, 1.0000e+00],
                [1.0000e+00, 1.0000e-08]])
    """
    directions = unit_norm(prototypes.detach())
    distance = 1 - directions @ directions.T
    cost = -torch.expm1(-sharpen * distance) if sharpen > 0 else distance
    return cost.clamp_min(0) + EPSILON


@full_precision
def wkd_l_loss(
    student_logits: Tensor,
    teacher_logits: Tensor,
    labels: Tensor,
    *,
    cost: Tensor,
    weight: float = 200.0,
    temperature: float = 6.0,
    reg: float = 0.05,
    iterations: int = 10,
) -> Tensor:
    """Return the WKD-L loss: ``target_class_loss`` + ``weight`` · ``wkd_l_transport_loss``.

    The authors' (weight, T) are (600, 8) for ResNet-32x4 and ResNet-8x4 on CIFAR-100, (200, 6) for its other pairs and
    (30, 2) for ImageNet. They add the cross-entropy with weight 1. From epoch 150 of 240 on, ``weight`` falls to 0 by a
    cosine; the first term keeps its weight.

    Args:
        student_logits: The student's logits (B, K).
        teacher_logits: The teacher's logits (B, K), detached here; ``kd_target`` is the target to cache.
        labels: Class indices (B,); samples labeled -1 are left out.
        cost: The cost of moving probability between classes (K, K), from ``wkd_l_cost``.
        weight: The weight of the Wasserstein distance.
        temperature: The temperature of the Wasserstein distance, positive.
        reg: The weight of the entropy in the Sinkhorn algorithm, positive.
        iterations: The number of Sinkhorn iterations.

    Returns:
        The loss, a scalar.

    Raises:
        TutelageError: If shapes differ, ``labels`` are not class indices or ``temperature`` or ``reg`` is not positive.

    Example:
        >>> import torch
        >>> from tutelage.losses import wkd_l_cost, wkd_l_loss
        >>> cost = wkd_l_cost(torch.tensor([[1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]))
        >>> student, teacher = torch.zeros(1, 3), torch.tensor([[0.0, 1.0, 2.0]])
        >>> round(wkd_l_loss(student, teacher, torch.tensor([0]), cost=cost).item(), 4)
        0.8021
    """
    transport = wkd_l_transport_loss(
        student_logits, teacher_logits, labels, cost=cost, temperature=temperature, reg=reg, iterations=iterations
    )
    return target_class_loss(student_logits, teacher_logits, labels) + weight * transport


@full_precision
def wkd_l_transport_loss(
    student_logits: Tensor,
    teacher_logits: Tensor,
    labels: Tensor,
    *,
    cost: Tensor,
    temperature: float = 6.0,
    reg: float = 0.05,
    iterations: int = 10,
) -> Tensor:
    """Return the Wasserstein distance between the probabilities of the classes other than the label.

    With q the softmax of z / T over the K − 1 other classes, the distance is ⟨F, C⟩ averaged over the labeled samples,
    where F is the flow between q_s and q_t after a number of Sinkhorn iterations. The gradient flows through the
    iterations. After few of them, F moves less mass than it should between classes that are far apart. All samples
    share the kernel exp(−C / reg), in which the label has no mass; the authors' code copies it for each sample.

    Args:
        student_logits: The student's logits (B, K).
        teacher_logits: The teacher's logits (B, K), detached here; ``kd_target`` is the target to cache.
        labels: Class indices (B,); samples labeled -1 are left out.
        cost: The cost of moving probability between classes (K, K), from ``wkd_l_cost``.
        temperature: The temperature T, positive.
        reg: The weight of the entropy, positive.
        iterations: The number of Sinkhorn iterations.

    Returns:
        The loss, a scalar.

    Raises:
        TutelageError: If shapes differ, ``labels`` are not class indices or ``temperature`` or ``reg`` is not positive.

    Example:
        >>> import torch
        >>> from tutelage.losses import wkd_l_cost, wkd_l_transport_loss
        >>> cost = wkd_l_cost(torch.eye(3))
        >>> logits = torch.zeros(1, 3)
        >>> wkd_l_transport_loss(logits, logits, torch.tensor([0]), cost=cost).item() < 1e-4
        True
    """
    require_logits(student_logits, teacher_logits, "wkd_l")
    require_labels(labels, student_logits, "wkd_l")
    require_temperature(temperature, "wkd_l", usual=6.0)
    require_positive(reg, "reg", "wkd_l", usual=0.05)
    classes = student_logits.shape[1]
    if cost.shape != (classes, classes):
        raise TutelageError(
            f"wkd_l: cost of shape {tuple(cost.shape)} does not fit {classes} classes; "
            "pass wkd_l_cost of the teacher's classifier"
        )
    is_label = torch.zeros_like(student_logits, dtype=torch.bool).scatter_(1, labels.clamp_min(0)[:, None], True)
    student = F.softmax((student_logits / temperature).masked_fill(is_label, float("-inf")), dim=1)
    teacher = F.softmax((teacher_logits.detach() / temperature).masked_fill(is_label, float("-inf")), dim=1)
    kernel = torch.exp(-cost / reg)
    rows = columns = (~is_label).to(student.dtype) / (classes - 1)
    for _ in range(iterations):
        columns = teacher / (rows @ kernel + EPSILON)
        rows = student / (columns @ kernel.T + EPSILON)
    return labeled_mean(((rows @ (kernel * cost)) * columns).sum(1), labels)
