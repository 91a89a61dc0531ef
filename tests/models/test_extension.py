"""Networks with parts that a method added: they are saved and loaded like others, and cannot be extended twice."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from tutelage.errors import TutelageError
from tutelage.models import (
    Extension,
    Insertion,
    create_model,
    extended,
    made_known,
    parameter_count,
    replace_head,
    save_model,
    weights_hash,
)

LAST = {"resnet8": "layer3", "timm/test_resnet": "layer4", "torchvision/squeezenet1_1": "features"}


def projected(name: str, channels: int) -> Extension:
    arguments = {"inputs": channels, "outputs": 24, "size": (2, 2), "factor": 2}
    projector = Insertion(after=LAST[name], part="simkd_projector", arguments=arguments)
    return Extension(inserted=(projector,), features=24, bias=False)


def logits(model: nn.Module) -> torch.Tensor:
    with torch.no_grad():
        return model.eval()(torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0)))


@pytest.mark.parametrize(("name", "channels"), [("resnet8", 64), ("timm/test_resnet", 96)])
def test_a_folder_gives_back_the_extended_network(tmp_path: Path, name: str, channels: int) -> None:
    plain = create_model(name, 4)
    before = weights_hash(plain)
    network = extended(plain, projected(name, channels))
    save_model(network, tmp_path, network.spec)
    again = create_model(str(tmp_path))
    assert weights_hash(again) == weights_hash(network) and torch.equal(logits(again), logits(network))
    assert again.extension == network.extension and again.spec.name == name
    assert weights_hash(plain) == before and not hasattr(plain, "extension")


def test_a_convolution_that_classifies_is_replaced_by_one(tmp_path: Path) -> None:
    name = "torchvision/squeezenet1_1"
    network = extended(create_model(name, 4), projected(name, 512))
    assert (network.classifier[1].in_channels, network.classifier[1].bias) == (24, None)
    save_model(network, tmp_path, network.spec)
    assert torch.equal(logits(create_model(str(tmp_path))), logits(network))


@pytest.mark.parametrize("name", ["resnet8", "timm/test_resnet"])
def test_a_new_head_reads_the_wider_embedding(name: str) -> None:
    network = extended(create_model(name, 4), projected(name, {"resnet8": 64}.get(name, 96)))
    replace_head(network, 7)
    assert logits(network).shape == (2, 7)


def test_logits_can_be_normalized(tmp_path: Path) -> None:
    network = create_model("resnet8", 4)
    scaled = extended(
        network, Extension(inserted=(Insertion(after="fc", part="norm_logits", arguments={"scale": 3.0}),))
    )
    assert parameter_count(scaled) == parameter_count(network)
    plain = logits(network)
    expected = 3 * (plain - plain.mean(1, keepdim=True)) / plain.std(1, keepdim=True, correction=0)
    assert torch.allclose(logits(scaled), expected, rtol=1e-3)
    save_model(scaled, tmp_path, scaled.spec)
    assert torch.equal(logits(create_model(str(tmp_path))), logits(scaled))


def test_a_network_of_ones_own_is_extended_again_when_it_is_loaded(tmp_path: Path) -> None:
    own = nn.Sequential(nn.Conv2d(3, 64, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 4))
    with made_known(own):
        network = create_model("module/Sequential")
        arguments = {"channels": 64, "teacher_channels": 8, "count": 2}
        part = Insertion(after="0", part="norm_expansion", arguments=arguments)
        student = extended(network, Extension(inserted=(part,)))
        save_model(student, tmp_path, student.spec)
        assert torch.equal(logits(create_model(str(tmp_path))), logits(student))


def test_a_network_is_extended_once() -> None:
    network = extended(create_model("resnet8", 4), projected("resnet8", 64))
    with pytest.raises(TutelageError, match="already has parts"):
        extended(network, projected("resnet8", 64))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"part": "anything"}, "unknown part of a network 'anything'"),
        ({"after": "layer9"}, "layer9"),
        ({"arguments": {"inputs": 10**9, "outputs": 8, "size": [2, 2]}}, "config of a saved model"),
        ({"arguments": {"inputs": 64}}, "cannot be built"),
    ],
)
def test_a_damaged_extension_is_refused(tmp_path: Path, change: dict[str, object], message: str) -> None:
    network = extended(create_model("resnet8", 4), projected("resnet8", 64))
    save_model(network, tmp_path, network.spec)
    path = tmp_path / "config.json"
    config = json.loads(path.read_text())
    config["tutelage"]["extension"]["inserted"][0].update(change)
    path.write_text(json.dumps(config))
    with pytest.raises(TutelageError, match=message):
        create_model(str(tmp_path))
