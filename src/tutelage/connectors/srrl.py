"""Connector of SRRL (softmax regression representation learning)."""

from __future__ import annotations

import torch.nn as nn

from tutelage.connectors.overhaul import ofd_connector


def srrl_connector(student_channels: int, teacher_channels: int) -> nn.Sequential:
    """Return a 1×1 convolution without bias, followed by batch normalization and a ReLU.

    The convolution is initialized from N(0, 2 / C_t), as in the authors' code. Yang et al., "Knowledge Distillation via
    Softmax Regression Representation Learning", ICLR 2021.

    Args:
        student_channels: Channels of the student's features.
        teacher_channels: Channels C_t of the teacher's features.

    Returns:
        The connector, (B, C_s, H, W) → (B, C_t, H, W).

    Example:
        >>> import torch
        >>> from tutelage.connectors import srrl_connector
        >>> srrl_connector(16, 64)(torch.randn(2, 16, 8, 8)).shape
        torch.Size([2, 64, 8, 8])
    """
    return nn.Sequential(*ofd_connector(student_channels, teacher_channels), nn.ReLU())
