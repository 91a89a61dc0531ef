"""The connector of ReviewKD gives the teacher's shapes and lets every level read the deeper ones."""

from __future__ import annotations

import torch

from tutelage.connectors import ReviewKDConnector

STUDENT = [(4, 8, 6), (6, 4, 3), (10,)]
TEACHER = [(5, 7, 7), (7, 8, 6), (9,)]


def test_every_level_gets_the_teachers_shape_and_an_embedding_is_a_map() -> None:
    fused = ReviewKDConnector(STUDENT, TEACHER)(*(torch.randn(2, *shape) for shape in STUDENT))
    assert [tuple(maps.shape[1:]) for maps in fused] == [(5, 7, 7), (7, 8, 6), (9, 1, 1)]


def test_a_level_reads_itself_and_deeper_levels_alone() -> None:
    maps = [torch.randn(3, *shape, requires_grad=True) for shape in STUDENT]
    fused = ReviewKDConnector(STUDENT, TEACHER, mid_channels=8).eval()(*maps)
    for level, features in enumerate(fused):
        read = torch.autograd.grad(features.square().sum(), maps, allow_unused=True, retain_graph=True)
        assert [gradient is not None for gradient in read] == [other >= level for other in range(len(maps))]


def test_fused_maps_are_as_wide_as_the_deepest_level_or_512() -> None:
    assert ReviewKDConnector(STUDENT, TEACHER).levels[0].reduce[0].out_channels == 10
    assert ReviewKDConnector([(4, 2, 2), (600,)], TEACHER[1:]).levels[0].reduce[0].out_channels == 512
