"""The projector of SimKD: the teacher's channels, the smaller of both sizes, and the published number of weights."""

from __future__ import annotations

import pytest
import torch

from tutelage.models import SimKDProjector


@pytest.mark.parametrize(
    ("student", "teacher", "expected"),
    [
        ((4, 8, 8), (6, 4, 4), (6, 4, 4)),
        ((4, 4, 4), (6, 8, 8), (6, 4, 4)),
        ((4, 7, 5), (6, 3, 9), (6, 3, 5)),
        ((4, 2, 2), (1, 2, 2), (1, 2, 2)),
    ],
)
def test_projected_shape(
    student: tuple[int, int, int], teacher: tuple[int, int, int], expected: tuple[int, ...]
) -> None:
    projected = SimKDProjector(student[0], teacher[0], teacher[1:])(torch.randn(3, *student))
    assert projected.shape == (3, *expected)
    assert projected.min() == 0


def test_the_projector_of_resnet8x4_under_resnet32x4_adds_the_published_weights() -> None:
    projector = SimKDProjector(256, 256, (8, 8))
    assert sum(weight.numel() for weight in projector.parameters()) == 214_016
