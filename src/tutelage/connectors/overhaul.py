"""Connector of OFD (a comprehensive overhaul of feature distillation)."""

from __future__ import annotations

import math

import torch.nn as nn


def ofd_connector(student_channels: int, teacher_channels: int) -> nn.Sequential:
    """Return a 1×1 convolution without bias, followed by batch normalization.

    There is no ReLU, because OFD compares pre-ReLU features. The convolution is initialized from N(0, 2 / C_t), the
    normalization with weight 1 and bias 0. Heo et al., "A Comprehensive Overhaul of Feature Distillation", ICCV 2019.

    Args:
        student_channels: Channels of the student's features.
        teacher_channels: Channels C_t of the teacher's features.

    Returns:
        The connector, (B, C_s, H, W) → (B, C_t, H, W).

    Example:
        >>> import torch
        >>> from tutelage.connectors import ofd_connector
        >>> ofd_connector(16, 64)(torch.randn(2, 16, 8, 8)).shape
        torch.Size([2, 64, 8, 8])
    """
    convolution = nn.Conv2d(student_channels, teacher_channels, kernel_size=1, bias=False)
    nn.init.normal_(convolution.weight, 0.0, math.sqrt(2.0 / teacher_channels))
    return nn.Sequential(convolution, nn.BatchNorm2d(teacher_channels))
