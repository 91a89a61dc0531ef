"""Softmax regression (SRRL) loss: the teacher's classifier judges the student's features.

Yang, Martinez, Bulat and Tzimiropoulos, "Knowledge Distillation via Softmax Regression Representation Learning",
ICLR 2021.
"""

from __future__ import annotations

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor

from tutelage.losses.precision import full_precision
from tutelage.losses.shapes import require_same_shape

Classifier = Callable[[Tensor], Tensor]


def srrl_loss(student: Tensor, teacher: Tensor, classifier: Classifier, *, weight: float = 1.0) -> Tensor:
    """Return the distance of the features, and of what the teacher's classifier makes of them.

    mean (e_s − e_t)² + weight · mean (c(e_s) − c(e_t))², where e is a feature map averaged over its positions and c is
    the teacher's classifier. Both means are over all elements. The cross-entropy of the student is not included.

    Args:
        student: The student's features after its connector, maps (B, C, H, W) or embeddings (B, C). The authors connect
            maps, the SimKD toolbox connects embeddings.
        teacher: The teacher's last maps (B, C, H, W), or its embeddings (B, C).
        classifier: The teacher's classifier, (B, C) → (B, K). Its weights should be frozen.
        weight: Weight of the second distance.

    Returns:
        The loss, a scalar.

    Raises:
        TutelageError: If batch sizes or channels differ.

    Example:
        >>> import torch
        >>> from tutelage.losses import srrl_loss
        >>> student, teacher = torch.ones(2, 4), torch.zeros(2, 4)
        >>> srrl_loss(student, teacher, classifier=lambda embeddings: 2 * embeddings)
        tensor(5.)
    """
    return srrl_match(student, srrl_target(teacher), classifier, weight=weight)


@full_precision
def srrl_target(teacher: Tensor) -> Tensor:
    """Return the teacher's embeddings, detached.

    Args:
        teacher: The teacher's last maps (B, C, H, W), or its embeddings (B, C).

    Returns:
        The target (B, C).

    Example:
        >>> import torch
        >>> from tutelage.losses import srrl_target
        >>> srrl_target(torch.randn(2, 16, 4, 4)).shape
        torch.Size([2, 16])
    """
    return _embeddings(teacher.detach())


@full_precision
def srrl_match(student: Tensor, target: Tensor, classifier: Classifier, *, weight: float = 1.0) -> Tensor:
    """Return ``srrl_loss`` from the student's features and a cached target.

    Args:
        student: The student's features after its connector, (B, C, H, W) or (B, C).
        target: Output of ``srrl_target`` (B, C).
        classifier: The teacher's classifier, (B, C) → (B, K).
        weight: Weight of the second distance.

    Returns:
        The loss, a scalar.

    Raises:
        TutelageError: If batch sizes or channels differ.

    Example:
        >>> import torch
        >>> from tutelage.losses import srrl_match, srrl_target
        >>> features = torch.randn(2, 16)
        >>> srrl_match(features, srrl_target(features), classifier=torch.nn.Linear(16, 10)).item()
        0.0
    """
    student = _embeddings(student)
    require_same_shape(student, target, "srrl", "add a connector (a 1×1 convolution) for channels")
    judged = F.mse_loss(classifier(student), classifier(target).detach())
    return F.mse_loss(student, target) + weight * judged


def _embeddings(features: Tensor) -> Tensor:
    return features.mean((2, 3)) if features.ndim == 4 else features
