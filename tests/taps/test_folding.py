"""Folding: the same features without batch normalisation, and the model untouched."""

from __future__ import annotations

import pytest
import timm
import torch
import torchvision
from torch import nn

from taps.networks import DataDependent
from tutelage.taps import folded, tapped


@pytest.mark.parametrize(
    ("name", "tap", "left"),
    [
        ("torchvision/resnet18", "layer3.1.add", 0),
        ("timm/mobilenetv3_small_050", "blocks.3", 0),
        ("timm/resnet10t", "layer2", 0),
        # Tapping a convolution keeps its output as it is, and the normalisation behind it.
        ("torchvision/resnet18", "layer2.0.conv1", 1),
        # The normalisations of densely connected networks come before the convolutions.
        ("torchvision/densenet121", "features.denseblock2", 62),
    ],
)
def test_same_features_without_normalisation(name: str, tap: str, left: int) -> None:
    torch.manual_seed(0)
    library, _, name = name.partition("/")
    model = timm.create_model(name) if library == "timm" else getattr(torchvision.models, name)()
    images = torch.randn(4, 3, 64, 64)
    with torch.no_grad():
        model.train()(images)  # running statistics worth folding
    state = {key: value.clone() for key, value in model.state_dict().items()}
    reader = folded(model, [tap]).requires_grad_(True)
    assert sum(isinstance(module, nn.BatchNorm2d) for module in reader.modules()) == left
    with torch.no_grad():
        logits, features = reader.train()(images)
        expected_logits, expected = tapped(model, [tap]).eval()(images)
    torch.testing.assert_close(logits, expected_logits, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(features[tap], expected[tap], rtol=1e-3, atol=1e-4)
    assert all(torch.equal(value, state[key]) for key, value in model.state_dict().items())


def test_untraceable_network_is_read_as_it_is() -> None:
    model = DataDependent().train()
    reader = folded(model, ["first"]).train()
    images = torch.randn(2, 3, 32, 32)
    assert torch.equal(reader(images)[1]["first"], reader(images)[1]["first"])
    assert model.first[1].num_batches_tracked == 0
