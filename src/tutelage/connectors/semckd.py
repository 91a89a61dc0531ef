"""Connector of SemCKD: maps every layer of the student to every layer of the teacher and learns which to compare.

Chen et al., "Cross-Layer Distillation with Semantic Calibration", AAAI 2021, https://arxiv.org/abs/2012.03236.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

from tutelage.errors import TutelageError
from tutelage.losses import full_precision, pool_to

Shape = tuple[int, ...]


class SemCKDConnector(nn.Module):
    """Project all pairs of layers and weigh them by attention between similarities within the batch.

    The query of a student layer and the key of a teacher layer are unit vectors that a small network computes from each
    sample's row of the layer's B×B matrix of dot products. **The batch size is therefore a size of weights.** In a
    smaller batch, the products with missing samples are 0. The projection is a 1×1, a 3×3 and a 1×1 convolution.

    Args:
        student: Shapes (C, H, W) of the student's maps.
        teacher: Shapes (C, H, W) of the teacher's maps.
        batch_size: Samples per batch, at most.
        factor: Reduction from the batch size to the length of queries and keys.

    Example:
        >>> import torch
        >>> from tutelage.connectors import SemCKDConnector
        >>> connector = SemCKDConnector([(16, 8, 8)], [(24, 8, 8), (48, 4, 4)], batch_size=4)
        >>> maps = torch.randn(4, 24, 8, 8), torch.randn(4, 48, 4, 4)
        >>> projected, attention = connector([torch.randn(4, 16, 8, 8)], maps)
        >>> [features.shape[1:] for features in projected[0]], attention.shape
        ([torch.Size([24, 8, 8]), torch.Size([48, 4, 4])], torch.Size([4, 1, 2]))
    """

    def __init__(self, student: Sequence[Shape], teacher: Sequence[Shape], batch_size: int, factor: int = 4) -> None:
        super().__init__()
        length = max(1, batch_size // factor)
        self.batch_size = batch_size
        self.queries = nn.ModuleList(_embedding(batch_size, length) for _ in student)
        self.keys = nn.ModuleList(_embedding(batch_size, length) for _ in teacher)
        self.projections = nn.ModuleList(_projection(s[0], t[0]) for s in student for t in teacher)

    def forward(self, students: Sequence[Tensor], teachers: Sequence[Tensor]) -> tuple[list[list[Tensor]], Tensor]:
        """Return the student's maps by student and teacher layer, and the attention (B, I, J).

        Raises:
            TutelageError: If there are more samples than ``batch_size``.
        """
        if len(students[0]) > self.batch_size:
            raise TutelageError(
                f"semckd: a batch has {len(students[0])} samples, but batch_size={self.batch_size} was set; "
                f"set the samples per step, over all processes"
            )
        queries = torch.stack([self._embed(*each) for each in zip(self.queries, students)], dim=1)
        keys = torch.stack([self._embed(network, maps.detach()) for network, maps in zip(self.keys, teachers)], dim=1)
        projections = iter(self.projections)
        projected = [
            [next(projections)(pool_to(maps, (teacher.shape[2], teacher.shape[3]))) for teacher in teachers]
            for maps in students
        ]
        return projected, (queries @ keys.mT).softmax(dim=2)

    def _embed(self, network: nn.Module, maps: Tensor) -> Tensor:
        return F.normalize(network(F.pad(_similarities(maps), (0, self.batch_size - len(maps)))), dim=1)


@full_precision
def _similarities(maps: Tensor) -> Tensor:
    """The dot products (B, B) of the samples."""
    flat = maps.flatten(1)
    return flat @ flat.T


def _embedding(batch_size: int, length: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(batch_size, 2 * length), nn.ReLU(), nn.Linear(2 * length, length))


def _projection(student_channels: int, teacher_channels: int) -> nn.Sequential:
    inner = 2 * teacher_channels
    return nn.Sequential(
        nn.Conv2d(student_channels, inner, kernel_size=1, bias=False),
        nn.BatchNorm2d(inner),
        nn.ReLU(),
        nn.Conv2d(inner, inner, kernel_size=3, padding=1, bias=False),
        nn.BatchNorm2d(inner),
        nn.ReLU(),
        nn.Conv2d(inner, teacher_channels, kernel_size=1, bias=False),
    )
