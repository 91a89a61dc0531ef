"""Regressors: modules that map a student's feature map to the shape of a teacher's."""

from __future__ import annotations

import torch.nn as nn

Shape = tuple[int, ...]


def _with_norm(convolution: nn.Module, channels: int, relu: bool) -> nn.Sequential:
    layers = [convolution, nn.BatchNorm2d(channels)]
    if relu:
        layers.append(nn.ReLU())
    return nn.Sequential(*layers)


def regressor(student: Shape, teacher: Shape, relu: bool = True) -> nn.Sequential:
    """Return the FitNets regressor with the layer shapes of the CRD benchmark.

    The convolution depends on the sides of the two maps:

    * 3×3 with stride 2 if the student's sides are twice the teacher's.
    * Transposed 4×4 with stride 2 if they are half the teacher's.
    * Unpadded with kernel ``1 + H_s − H_t``, as in the paper, if they are equal or larger by another factor.
    * 1×1 if they are smaller by another factor; the loss then pools the teacher's map.

    Batch normalization follows, then a ReLU if ``relu`` is set. Romero et al., "FitNets: Hints for Thin Deep Nets",
    ICLR 2015; shapes as in the CRD benchmark (Tian et al., 2020).

    Args:
        student: Shape (C_s, H_s, W_s) of the student's map.
        teacher: Shape (C_t, H_t, W_t) of the teacher's map.
        relu: Whether the teacher's map is the output of a ReLU. If so, the regressor ends in a ReLU.

    Returns:
        The regressor, (B, C_s, H_s, W_s) → (B, C_t, H, W).

    Example:
        >>> import torch
        >>> from tutelage.connectors import regressor
        >>> regressor((16, 8, 8), (64, 4, 4))(torch.randn(2, 16, 8, 8)).shape
        torch.Size([2, 64, 4, 4])
    """
    (c_s, *side_s), (c_t, *side_t) = student, teacher
    convolution: nn.Module
    if side_s == [2 * side for side in side_t]:
        convolution = nn.Conv2d(c_s, c_t, kernel_size=3, stride=2, padding=1)
    elif side_t == [2 * side for side in side_s]:
        convolution = nn.ConvTranspose2d(c_s, c_t, kernel_size=4, stride=2, padding=1)
    elif all(s >= t for s, t in zip(side_s, side_t)):
        kernel = (1 + side_s[0] - side_t[0], 1 + side_s[1] - side_t[1])
        convolution = nn.Conv2d(c_s, c_t, kernel_size=kernel)
    else:
        convolution = nn.Conv2d(c_s, c_t, kernel_size=1)
    return _with_norm(convolution, c_t, relu)


def paper_regressor(student: Shape, teacher: Shape, relu: bool = True) -> nn.Sequential:
    """Return the regressor of the FitNets paper: an unpadded convolution with bias and no normalization.

    The kernel is ``1 + H_s − H_t``, so that both maps have the same size. It is 1×1 if the student's map is not larger;
    the loss then pools the teacher's map. Weights are initialized from U(−0.05, 0.05), as in the authors' code, and the
    bias with 0. The authors' maxout and their bound on the norm of the kernel are left out.

    Args:
        student: Shape (C_s, H_s, W_s) of the student's map.
        teacher: Shape (C_t, H_t, W_t) of the teacher's map.
        relu: Whether the teacher's map is the output of a ReLU. If so, the regressor ends in a ReLU.

    Returns:
        The regressor, (B, C_s, H_s, W_s) → (B, C_t, H, W).

    Example:
        >>> import torch
        >>> from tutelage.connectors import paper_regressor
        >>> paper_regressor((16, 8, 8), (64, 6, 6))(torch.randn(2, 16, 8, 8)).shape
        torch.Size([2, 64, 6, 6])
    """
    (c_s, *side_s), (c_t, *side_t) = student, teacher
    kernel = (max(1, 1 + side_s[0] - side_t[0]), max(1, 1 + side_s[1] - side_t[1]))
    convolution = nn.Conv2d(c_s, c_t, kernel_size=kernel)
    nn.init.uniform_(convolution.weight, -0.05, 0.05)
    nn.init.zeros_(convolution.bias)  # type: ignore[arg-type]
    return nn.Sequential(convolution, *([nn.ReLU()] if relu else []))


def projector(student: Shape, teacher: Shape, relu: bool = True) -> nn.Sequential:
    """Return a 1×1 convolution without bias, followed by batch normalization and an optional ReLU.

    Only channels are mapped. If the sides differ, the loss pools the larger map.

    Args:
        student: Shape (C_s, H_s, W_s) of the student's map.
        teacher: Shape (C_t, H_t, W_t) of the teacher's map.
        relu: Whether to end in a ReLU.

    Returns:
        The projector, (B, C_s, H, W) → (B, C_t, H, W).

    Example:
        >>> import torch
        >>> from tutelage.connectors import projector
        >>> projector((16, 8, 8), (64, 4, 4))(torch.randn(2, 16, 8, 8)).shape
        torch.Size([2, 64, 8, 8])
    """
    return _with_norm(nn.Conv2d(student[0], teacher[0], kernel_size=1, bias=False), teacher[0], relu)


def adapter(student: Shape, teacher: Shape, relu: bool = True) -> nn.Module:
    """Return an identity if the channels are equal, and a ``projector`` otherwise.

    Args:
        student: Shape (C_s, H_s, W_s) of the student's map.
        teacher: Shape (C_t, H_t, W_t) of the teacher's map.
        relu: Whether a projector ends in a ReLU.

    Returns:
        The adapter, (B, C_s, H, W) → (B, C_t, H, W).

    Example:
        >>> from tutelage.connectors import adapter
        >>> adapter((16, 8, 8), (16, 4, 4))
        Identity()
    """
    return nn.Identity() if student[0] == teacher[0] else projector(student, teacher, relu)
