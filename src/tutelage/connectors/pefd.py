"""Connector of PEFD (projector ensemble feature distillation)."""

from __future__ import annotations

import torch
import torch.nn as nn
from torch import Tensor

from tutelage.errors import TutelageError


class ProjectorEnsemble(nn.Module):
    """Map embeddings to the teacher's width with several projectors, and average them.

    Each projector is a linear layer followed by a ReLU; they only differ in their random start. Chen et al., "Improved
    Feature Distillation via Projector Ensemble", NeurIPS 2022.

    Args:
        student_width: Width D_s of the student's embeddings.
        teacher_width: Width D_t of the teacher's embeddings.
        projectors: Number of projectors.

    Raises:
        TutelageError: If ``projectors`` is below 1.

    Example:
        >>> import torch
        >>> from tutelage.connectors import ProjectorEnsemble
        >>> ProjectorEnsemble(64, 256)(torch.randn(2, 64)).shape
        torch.Size([2, 256])
    """

    def __init__(self, student_width: int, teacher_width: int, projectors: int = 3) -> None:
        super().__init__()
        if projectors < 1:
            raise TutelageError(f"pefd: projectors = {projectors} must be at least 1; the usual value is 3")
        self.projectors = nn.ModuleList(nn.Linear(student_width, teacher_width) for _ in range(projectors))

    def forward(self, embeddings: Tensor) -> Tensor:
        """Return the average projection (B, D_t) of embeddings (B, D_s)."""
        return torch.stack([projector(embeddings).relu() for projector in self.projectors]).mean(0)
