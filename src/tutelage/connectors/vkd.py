"""Connector of VkD: a linear projection that stays orthogonal.

Miles, Elezi and Deng, "VkD: Improving Knowledge Distillation using Orthogonal Projections", CVPR 2024,
https://arxiv.org/abs/2403.06213.
"""

from __future__ import annotations

import torch.nn as nn
from torch.nn.utils.parametrizations import orthogonal


def orthogonal_projector(student_features: int, teacher_features: int) -> nn.Module:
    """Return a linear layer without bias whose weight has orthonormal columns, or rows if the teacher is narrower.

    It keeps the angles and lengths of the student's embeddings, so the student itself has to learn.

    Args:
        student_features: Length D_s of the student's embedding.
        teacher_features: Length D_t of the teacher's embedding.

    Returns:
        The projector, (B, D_s) → (B, D_t).

    Example:
        >>> import torch
        >>> from tutelage.connectors import orthogonal_projector
        >>> embedding = torch.randn(2, 16)
        >>> projected = orthogonal_projector(16, 64)(embedding)
        >>> torch.allclose(projected.norm(dim=1), embedding.norm(dim=1), atol=1e-4)
        True
    """
    return orthogonal(nn.Linear(student_features, teacher_features, bias=False))
