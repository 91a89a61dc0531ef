"""What is special about SRRL: maps or embeddings, and a classifier that stays as it is."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tutelage.connectors import srrl_connector
from tutelage.errors import TutelageError
from tutelage.losses import srrl_loss, srrl_match, srrl_target


def test_maps_are_their_averages() -> None:
    generator = torch.Generator().manual_seed(0)
    student, teacher = torch.randn(2, 3, 4, 5, 5, generator=generator, dtype=torch.float64)
    classifier = nn.Linear(4, 6).double().requires_grad_(False)
    of_maps = srrl_loss(student, teacher, classifier, weight=0.5)
    of_embeddings = srrl_loss(student.mean((2, 3)), teacher.mean((2, 3)), classifier, weight=0.5)
    torch.testing.assert_close(of_maps, of_embeddings)


def test_the_teachers_logits_get_no_gradient() -> None:
    student, target = torch.ones(2, 3, requires_grad=True), srrl_target(torch.zeros(2, 3))
    classifier = nn.Linear(3, 4)
    srrl_match(student, target, classifier).backward()
    assert classifier.bias.grad is not None and student.grad is not None
    # the gradient of the bias comes through the student's logits alone
    difference = classifier(student) - classifier(target)
    torch.testing.assert_close(classifier.bias.grad, (2 * difference / difference.numel()).sum(0))


def test_connector_starts_from_two_over_the_teachers_channels() -> None:
    connector = srrl_connector(64, 200)
    assert abs(connector[0].weight.std().item() - (2 / 200) ** 0.5) < 0.003
    assert connector(torch.randn(2, 64, 3, 3)).min() == 0


def test_other_channels_are_refused() -> None:
    with pytest.raises(TutelageError, match=r"srrl: .*\(2, 3\).*\(2, 4\).*connector"):
        srrl_loss(torch.zeros(2, 3, 2, 2), torch.zeros(2, 4), nn.Linear(4, 5))
