"""A teacher may normalise by the batch's statistics without touching a buffer."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from tutelage.models import create_model
from tutelage.taps import tapped, with_batch_statistics


@pytest.mark.parametrize("name", ["wrn_10_1", "timm/resnet10t", "timm/dm_nfnet_f0"])
def test_it_computes_what_train_mode_does_and_leaves_the_model_as_it_is(name: str) -> None:
    model = create_model(name, 5).eval()
    before = copy.deepcopy(model.state_dict())
    reference = copy.deepcopy(model)
    for module in reference.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.train()
    images = torch.rand(4, 3, 32, 32)
    network = with_batch_statistics(model)
    expected = reference(images)
    torch.testing.assert_close(network(images), expected)
    logits, _ = tapped(network, [], frozen=("",)).eval()(images)
    torch.testing.assert_close(logits, expected)
    after = model.state_dict()
    assert before.keys() == after.keys() and all(torch.equal(before[key], after[key]) for key in before)
    assert not any(module.training for module in (*model.modules(), *network.modules()))


def test_dropout_stays_off() -> None:
    model = nn.Sequential(nn.BatchNorm2d(3), nn.Dropout(0.9))
    images = torch.rand(4, 3, 2, 2)
    assert (with_batch_statistics(model)(images) != 0).all()
