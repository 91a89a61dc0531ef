"""The connector of SemCKD projects all pairs of layers and weighs the teacher's layers for each of the student's."""

from __future__ import annotations

import pytest
import torch

from tutelage.connectors import SemCKDConnector
from tutelage.errors import TutelageError

STUDENT = [(3, 8, 6), (4, 4, 3)]
TEACHER = [(5, 8, 6), (6, 4, 4), (7, 2, 2)]


def maps(shapes: list[tuple[int, ...]], batch: int = 8) -> list[torch.Tensor]:
    return [torch.randn(batch, *shape) for shape in shapes]


def test_pairs_have_the_teachers_channels_and_the_smaller_size() -> None:
    projected, attention = SemCKDConnector(STUDENT, TEACHER, batch_size=8)(maps(STUDENT), maps(TEACHER))
    assert [[tuple(features.shape[1:]) for features in row] for row in projected] == [
        [(5, 8, 6), (6, 4, 4), (7, 2, 2)],
        [(5, 4, 3), (6, 4, 3), (7, 2, 2)],
    ]
    assert torch.allclose(attention.sum(2), torch.ones(8, 2))


def test_attention_trains_the_keys_but_not_the_teacher() -> None:
    connector, students, teachers = SemCKDConnector(STUDENT, TEACHER, batch_size=8), maps(STUDENT), maps(TEACHER)
    teachers[0].requires_grad_()
    _, attention = connector(students, teachers)
    attention[:, :, 0].sum().backward()
    assert teachers[0].grad is None
    assert all(network[0].weight.grad.any() for network in (*connector.queries, *connector.keys))


def test_missing_samples_have_no_similarity() -> None:
    connector, students, teachers = SemCKDConnector(STUDENT, TEACHER, batch_size=8), maps(STUDENT), maps(TEACHER)
    for each in (*students, *teachers):
        each[5:] = 0
    _, whole = connector(students, teachers)
    _, part = connector([each[:5] for each in students], [each[:5] for each in teachers])
    torch.testing.assert_close(part, whole[:5])


def test_a_larger_batch_is_refused() -> None:
    connector = SemCKDConnector(STUDENT, TEACHER, batch_size=8)
    with pytest.raises(TutelageError, match="a batch has 9 samples, but batch_size=8 was set; set the samples per"):
        connector(maps(STUDENT, batch=9), maps(TEACHER, batch=9))
