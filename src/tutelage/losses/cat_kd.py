"""CAT-KD losses: class activation maps of student and teacher.

Guo, Yan, Li and Lin, "Class Attention Transfer Based Knowledge Distillation", CVPR 2023,
https://arxiv.org/abs/2304.12777.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from tutelage.errors import TutelageError
from tutelage.losses.precision import full_precision
from tutelage.losses.shapes import pool_to, require_maps, require_same_shape, unit_norm


@full_precision
def class_map(features: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return the class activation maps W·F + b of a last map and its linear classifier.

    Average pooling and a linear layer commute, so the mean of a class map over space is the class's logit. For the same
    reason, pooled features give pooled class maps: with many classes, pool the features first.

    Args:
        features: The last map (B, D, H, W) before global average pooling.
        weight: Weight (K, D) of the classifier.
        bias: Bias (K,) of the classifier, if it has one.

    Returns:
        The class maps (B, K, H, W).

    Raises:
        TutelageError: If the classifier does not read the channels of the map.

    Example:
        >>> import torch
        >>> from tutelage.losses import class_map
        >>> features, classifier = torch.randn(2, 16, 4, 4), torch.nn.Linear(16, 10)
        >>> maps = class_map(features, classifier.weight, classifier.bias)
        >>> torch.allclose(maps.mean((2, 3)), classifier(features.mean((2, 3))), atol=1e-6)
        True
    """
    require_maps(features, "class map")
    if features.shape[1] != weight.shape[1]:
        raise TutelageError(
            f"class map: the classifier reads {weight.shape[1]} channels and the map has {features.shape[1]}; "
            "tap the last map before global average pooling"
        )
    return F.conv2d(features, weight[:, :, None, None], bias)


def cat_kd_loss(student: Tensor, teacher: Tensor, *, resolution: int = 2, normalize: bool = True) -> Tensor:
    """Return the mean squared error between the pooled class maps of student and teacher.

    Class maps are average-pooled to ``resolution`` × ``resolution`` and each scaled to unit L2 norm over space. The
    usual setting is the cross-entropy plus 0.5 to 600 times this loss, by pair of networks.

    Args:
        student: The student's class maps (B, K, H, W), see ``class_map``.
        teacher: The teacher's class maps (B, K, H, W). Sizes may differ.
        resolution: Side of the pooled maps. Smaller maps keep their size.
        normalize: Whether to scale each pooled map to unit norm. The authors do not for VGG.

    Returns:
        The loss, a scalar.

    Raises:
        TutelageError: If batch sizes, classes or pooled sizes differ, or ``resolution`` is not positive.

    Example:
        >>> import torch
        >>> from tutelage.losses import cat_kd_loss
        >>> maps = torch.rand(2, 10, 8, 8)
        >>> cat_kd_loss(maps, 2 * maps)
        tensor(0.)
    """
    target = cat_kd_target(teacher, resolution=resolution, normalize=normalize)
    return cat_kd_match(student, target, resolution=resolution, normalize=normalize)


@full_precision
def cat_kd_target(teacher: Tensor, *, resolution: int = 2, normalize: bool = True) -> Tensor:
    """Return the teacher's pooled class maps, detached.

    Args:
        teacher: The teacher's class maps (B, K, H, W).
        resolution: Side of the pooled maps. Smaller maps keep their size.
        normalize: Whether to scale each pooled map to unit norm.

    Returns:
        The target (B, K, resolution, resolution).

    Raises:
        TutelageError: If ``resolution`` is not positive.

    Example:
        >>> import torch
        >>> from tutelage.losses import cat_kd_target
        >>> cat_kd_target(torch.rand(2, 10, 8, 8), resolution=4).shape
        torch.Size([2, 10, 4, 4])
    """
    return _pooled(teacher.detach(), resolution, normalize)


@full_precision
def cat_kd_match(student: Tensor, target: Tensor, *, resolution: int = 2, normalize: bool = True) -> Tensor:
    """Return ``cat_kd_loss`` from the student's class maps and a cached target.

    Args:
        student: The student's class maps (B, K, H, W).
        target: Output of ``cat_kd_target`` with the same ``resolution`` and ``normalize``.
        resolution: Side of the pooled maps. Smaller maps keep their size.
        normalize: Whether to scale each pooled map to unit norm.

    Returns:
        The loss, a scalar.

    Raises:
        TutelageError: If batch sizes, classes or pooled sizes differ, or ``resolution`` is not positive.

    Example:
        >>> import torch
        >>> from tutelage.losses import cat_kd_match
        >>> cat_kd_match(torch.ones(2, 10, 8, 8), target=torch.zeros(2, 10, 2, 2), normalize=False)
        tensor(1.)
    """
    pooled = _pooled(student, resolution, normalize)
    require_same_shape(
        pooled,
        target,
        "cat_kd",
        "both networks need one map per class, and `resolution` must not exceed the sides of the smaller map",
    )
    return F.mse_loss(pooled, target)


def _pooled(maps: Tensor, resolution: int, normalize: bool) -> Tensor:
    require_maps(maps, "cat_kd")
    if resolution < 1:
        raise TutelageError(f"cat_kd: resolution {resolution} must be positive; the usual values are 2 and 4")
    pooled = pool_to(maps, (resolution, resolution))
    return unit_norm(pooled.flatten(2)).view_as(pooled) if normalize else pooled
