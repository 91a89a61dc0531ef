"""Connector of AB (activation boundaries)."""

from __future__ import annotations

import torch.nn as nn

from tutelage.connectors.regressor import Shape, regressor


def ab_connector(student: Shape, teacher: Shape) -> nn.Module:
    """Return an identity if the shapes are equal, and a ``regressor`` without a ReLU otherwise.

    AB compares pre-ReLU features. Heo et al., "Knowledge Transfer via Distillation of Activation Boundaries Formed by
    Hidden Neurons", AAAI 2019; layers as in RepDistiller.

    Args:
        student: Shape (C_s, H_s, W_s) of the student's map.
        teacher: Shape (C_t, H_t, W_t) of the teacher's map.

    Returns:
        The connector, (B, C_s, H_s, W_s) → (B, C_t, H, W).

    Example:
        >>> from tutelage.connectors import ab_connector
        >>> ab_connector((16, 8, 8), (16, 8, 8))
        Identity()
    """
    return nn.Identity() if tuple(student) == tuple(teacher) else regressor(student, teacher, relu=False)
