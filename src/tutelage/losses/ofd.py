"""OFD losses: pre-ReLU features with a margin and a partial L2 distance.

Heo et al., "A Comprehensive Overhaul of Feature Distillation", ICCV 2019, https://arxiv.org/abs/1904.01866.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from tutelage.errors import TutelageError
from tutelage.losses.precision import full_precision
from tutelage.losses.shapes import Size, fit_to_target, pool_to, require_maps, smaller_size

# At or below this probability of a negative value, the conditional mean is too uncertain to use.
RARELY_NEGATIVE = 0.001


@full_precision
def ofd_margin(weight: Tensor, bias: Tensor) -> Tensor:
    """Return the OFD margin of a teacher layer from the batch normalization before its ReLU, detached.

    With μ = bias and σ = abs(weight), the margin is m = E[x | x < 0] = μ − σ·φ(μ/σ) / Φ(−μ/σ) for x ~ N(μ, σ²), where
    φ and Φ are the density and distribution function of the standard normal. It is −3σ where Φ(−μ/σ) ≤ 0.001 and
    min(μ, 0) where σ = 0.

    Args:
        weight: Weight (C,) of the batch normalization.
        bias: Bias (C,) of the batch normalization.

    Returns:
        The margin (C,), never positive.

    Example:
        >>> import torch
        >>> from tutelage.losses import ofd_margin
        >>> ofd_margin(weight=torch.ones(2), bias=torch.tensor([0.0, 10.0]))
        tensor([-0.7979, -3.0000])
    """
    mean, deviation = bias.detach(), weight.detach().abs()
    ratio = mean / deviation
    negative = torch.special.ndtr(-ratio)
    density = torch.exp(-ratio.square() / 2) / math.sqrt(2 * math.pi)
    expected = mean - deviation * density / negative
    margin = torch.where(negative > RARELY_NEGATIVE, expected, -3 * deviation)
    return torch.where(deviation > 0, margin, mean.clamp_max(0))


@full_precision
def ofd_measured_margin(features: Tensor) -> Tensor:
    """Return the mean negative value of each channel, detached.

    ``ofd_margin`` estimates this value from batch normalization; measure it for layers that have none.

    Args:
        features: The teacher's pre-ReLU features (B, C, H, W).

    Returns:
        The margin (C,), 0 for channels without negative values.

    Raises:
        TutelageError: If ``features`` is not four-dimensional.

    Example:
        >>> import torch
        >>> from tutelage.losses import ofd_measured_margin
        >>> ofd_measured_margin(torch.tensor([[[[-1.0, -3.0, 5.0, 0.0]]]]))
        tensor([-2.])
    """
    require_maps(features, "ofd")
    negative = features.detach().clamp_max(0)
    return negative.sum((0, 2, 3)) / (negative < 0).sum((0, 2, 3)).clamp_min(1)


def ofd_loss(student: Tensor, teacher: Tensor, margin: Tensor) -> Tensor:
    """Return the partial L2 distance to the teacher's pre-ReLU features, clipped at the margin.

    With t' = max(F_t, m), the loss is Σ (F_s − t')² over c, h, w, averaged over the batch. Elements with F_s ≤ t' ≤ 0
    count as zero. The larger feature map is average-pooled to the smaller. Published weights are 10⁻³ (CIFAR) and 10⁻⁴
    (ImageNet), halved with each layer away from the deepest.

    Args:
        student: The student's features (B, C, H, W) after its connector (1×1 convolution and batch normalization).
        teacher: The teacher's pre-ReLU features (B, C, H, W).
        margin: Margin (C,) from ``ofd_margin`` or ``ofd_measured_margin``.

    Returns:
        The loss, a scalar.

    Raises:
        TutelageError: If batch sizes or channels differ, or the margin has a different length.

    Example:
        >>> import torch
        >>> from tutelage.losses import ofd_loss, ofd_measured_margin
        >>> teacher = torch.randn(2, 8, 4, 4)
        >>> ofd_loss(teacher.relu(), teacher.relu(), ofd_measured_margin(teacher))
        tensor(0.)
    """
    require_maps(student, "ofd")
    require_maps(teacher, "ofd")
    return ofd_match(student, ofd_target(teacher, margin, smaller_size(student, teacher)))


@full_precision
def ofd_target(teacher: Tensor, margin: Tensor, size: Size | None = None) -> Tensor:
    """Return the teacher's features clipped at the margin, max(F_t, m), detached.

    Args:
        teacher: The teacher's pre-ReLU features (B, C, H, W).
        margin: Margin (C,) from ``ofd_margin`` or ``ofd_measured_margin``.
        size: Size (H, W) to average-pool larger features to before clipping. None keeps their size.

    Returns:
        The target (B, C, H, W).

    Raises:
        TutelageError: If the margin does not have one value per channel.

    Example:
        >>> import torch
        >>> from tutelage.losses import ofd_target
        >>> ofd_target(torch.tensor([[[[-5.0, 2.0]]]]), margin=torch.tensor([-1.0]))
        tensor([[[[-1.,  2.]]]])
    """
    require_maps(teacher, "ofd")
    if margin.shape != (teacher.shape[1],):
        raise TutelageError(
            f"ofd: margin of shape {tuple(margin.shape)} does not fit {teacher.shape[1]} channels; "
            "use the batch normalization directly before the tapped ReLU"
        )
    return torch.maximum(pool_to(teacher.detach(), size), margin.detach()[:, None, None])


@full_precision
def ofd_match(student: Tensor, target: Tensor) -> Tensor:
    """Return ``ofd_loss`` from the student's features and a cached target.

    A student map larger than the target is average-pooled to the target's size.

    Args:
        student: The student's features (B, C, H, W) after its connector.
        target: Output of ``ofd_target``.

    Returns:
        The loss, a scalar.

    Raises:
        TutelageError: If batch sizes or channels differ, or the student's map is smaller than the target.

    Example:
        >>> import torch
        >>> from tutelage.losses import ofd_match
        >>> ofd_match(torch.tensor([[[[-5.0, 4.0]]]]), target=torch.tensor([[[[-1.0, 2.0]]]]))
        tensor(4.)
    """
    student = fit_to_target(student, target, "ofd")
    counted = (student > target) | (target > 0)
    return ((student - target) * counted).square().sum() / student.shape[0]
