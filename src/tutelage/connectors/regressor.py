"""Convolutional regressors: map a student's feature map onto the shape of a teacher's."""

from __future__ import annotations

import torch.nn as nn

Shape = tuple[int, ...]


def _with_norm(convolution: nn.Module, channels: int, relu: bool) -> nn.Sequential:
    layers = [convolution, nn.BatchNorm2d(channels)]
    if relu:
        layers.append(nn.ReLU())
    return nn.Sequential(*layers)


def regressor(student: Shape, teacher: Shape, relu: bool = True) -> nn.Sequential:
    """Builds the regressor of FitNets, in the shapes that the CRD benchmark settled on.

    From a student map (C_s, H_s, W_s) towards a teacher map (C_t, H_t, W_t): a 3×3 convolution of stride 2 where
    the student's side is twice the teacher's, a transposed 4×4 convolution of stride 2 where it is half, an unpadded
    convolution of kernel ``1 + H_s − H_t`` where it is larger otherwise (the paper's form; 1×1 for equal sizes), and a
    1×1 convolution where it is smaller otherwise (the larger teacher map is then pooled by the loss). Batch
    normalisation follows, and a ReLU where the teacher's map comes out of one (``relu``).

    Source: Romero et al., FitNets: Hints for Thin Deep Nets, ICLR 2015; shapes as in the CRD benchmark (Tian et al.,
    2020).
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
    """Builds the regressor of the FitNets paper: an unpadded convolution with bias, no normalisation.

    Its kernel is ``1 + H_s − H_t``, so that the sizes come out equal; 1×1 where the student's map is no larger (the
    larger teacher map is then pooled by the loss). Weights start from U(−0.05, 0.05), as in the authors' code, the bias
    from 0. A ReLU follows where the teacher's map comes out of one; the authors' maxout and their bound on the kernel's
    norm do not.
    """
    (c_s, *side_s), (c_t, *side_t) = student, teacher
    kernel = (max(1, 1 + side_s[0] - side_t[0]), max(1, 1 + side_s[1] - side_t[1]))
    convolution = nn.Conv2d(c_s, c_t, kernel_size=kernel)
    nn.init.uniform_(convolution.weight, -0.05, 0.05)
    nn.init.zeros_(convolution.bias)  # type: ignore[arg-type]
    return nn.Sequential(convolution, *([nn.ReLU()] if relu else []))


def projector(student: Shape, teacher: Shape, relu: bool = True) -> nn.Sequential:
    """Builds a 1×1 convolution without bias, batch normalisation and, with ``relu``, a ReLU: channels alone are mapped.

    ``student`` and ``teacher`` are ``(C, H, W)``; sides that differ are left to the loss, which pools the larger map.
    """
    return _with_norm(nn.Conv2d(student[0], teacher[0], kernel_size=1, bias=False), teacher[0], relu)


def adapter(student: Shape, teacher: Shape, relu: bool = True) -> nn.Module:
    """Builds nothing where the channels are equal, a :func:`projector` where they are not."""
    return nn.Identity() if student[0] == teacher[0] else projector(student, teacher, relu)
