"""The connector of the overhaul of feature distillation."""

from __future__ import annotations

import math

import torch.nn as nn


def ofd_connector(student_channels: int, teacher_channels: int) -> nn.Sequential:
    """Builds a 1×1 convolution without bias and batch normalisation: channels alone are mapped, signs are kept.

    The convolution starts from N(0, 2 / C_t), the normalisation from weight 1, bias 0. Heo et al.: A Comprehensive
    Overhaul of Feature Distillation, ICCV 2019.
    """
    convolution = nn.Conv2d(student_channels, teacher_channels, kernel_size=1, bias=False)
    nn.init.normal_(convolution.weight, 0.0, math.sqrt(2.0 / teacher_channels))
    return nn.Sequential(convolution, nn.BatchNorm2d(teacher_channels))
