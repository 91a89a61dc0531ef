"""Overhaul of feature distillation: pre-ReLU features, a margin, and a loss that is partial.

Heo et al., "A Comprehensive Overhaul of Feature Distillation", ICCV 2019, https://arxiv.org/abs/1904.01866.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from tutelage.errors import TutelageError
from tutelage.losses.precision import full_precision
from tutelage.losses.shapes import Size, pool_to, require_maps, require_same_batch, require_same_shape, smaller_size

# A channel this seldom negative has no mean of negatives worth estimating.
RARELY_NEGATIVE = 0.001


@full_precision
def ofd_margin(weight: Tensor, bias: Tensor) -> Tensor:
    """The margin m (C,) of a teacher's layer, from the weight and bias (C,) of the BN before its ReLU; detached.

    With μ = bias and σ = abs(weight), m = E[x | x < 0] = μ − σ·φ(μ/σ) / Φ(−μ/σ) for x ~ N(μ, σ²), φ and Φ the standard
    normal's density and distribution. Where Φ(−μ/σ) ≤ 0.001 it is −3σ; where σ = 0, min(μ, 0). Never positive.
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
    """The mean negative value of each channel of (B, C, H, W), as (C,), detached; 0 for a channel without any.

    What :func:`ofd_margin` estimates, from the features themselves: for layers that no batch normalisation made.
    """
    require_maps(features, "ofd")
    negative = features.detach().clamp_max(0)
    return negative.sum((0, 2, 3)) / (negative < 0).sum((0, 2, 3)).clamp_min(1)


def ofd_loss(student: Tensor, teacher: Tensor, margin: Tensor) -> Tensor:
    """Partial L2 distance to the teacher's pre-ReLU features clipped below at the margin.

    With t' = max(F_t, m): Σ over c, h, w of (F_s − t')², but zero where F_s ≤ t' ≤ 0, mean over the batch. Features are
    (B, C, H, W), the student's behind its connector (1×1 convolution and BN), the larger one average-pooled to the
    smaller; ``margin`` (C,) is :func:`ofd_margin`'s. Published weights: 10⁻³ (CIFAR) or 10⁻⁴ (ImageNet), times
    ½ for each layer that is deeper. Raises TutelageError where batch, channels or the margin's length differ.
    """
    require_maps(student, "ofd")
    require_maps(teacher, "ofd")
    return ofd_match(student, ofd_target(teacher, margin, smaller_size(student, teacher)))


@full_precision
def ofd_target(teacher: Tensor, margin: Tensor, size: Size | None = None) -> Tensor:
    """max(F_t, m), (B, C, H, W), detached; the feature is average-pooled to ``size`` = (H, W) first where larger."""
    require_maps(teacher, "ofd")
    if margin.shape != (teacher.shape[1],):
        raise TutelageError(
            f"ofd: a margin of shape {tuple(margin.shape)} does not fit {teacher.shape[1]} channels: "
            "take it from the BN directly before the tapped ReLU"
        )
    return torch.maximum(pool_to(teacher.detach(), size), margin.detach()[:, None, None])


@full_precision
def ofd_match(student: Tensor, target: Tensor) -> Tensor:
    """:func:`ofd_loss` of the student's features and an :func:`ofd_target`.

    The student's map is average-pooled to the target's size where it is larger.
    """
    require_maps(student, "ofd")
    require_same_batch(student, target, "ofd")
    student = pool_to(student, (target.shape[2], target.shape[3]))
    require_same_shape(
        student,
        target,
        "ofd",
        "channels need a connector (a 1×1 convolution); a smaller map needs `size` in the target",
    )
    counted = (student > target) | (target > 0)
    return ((student - target) * counted).square().sum() / student.shape[0]
