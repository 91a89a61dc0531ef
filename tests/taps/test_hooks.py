"""Networks that torch.fx cannot trace are read by hooks, with the same promises."""

from __future__ import annotations

import pytest
import timm
import torch

from taps.networks import DataDependent
from tutelage.errors import TutelageError
from tutelage.taps import Probe, find_levels, tapped
from tutelage.taps.extraction import Tapped
from tutelage.taps.hooks import HookedNetwork


@pytest.fixture
def model() -> DataDependent:
    torch.manual_seed(0)
    return DataDependent().eval()


def test_values_and_inplace(model: DataDependent) -> None:
    images = torch.randn(2, 3, 32, 32)
    reader = tapped(model, ["first", "second", "relu_0", "relu_1:in", "second:in"])
    assert isinstance(reader, HookedNetwork)
    logits, features = reader(images)
    first = model.first(images)
    assert (first < 0).any() and torch.equal(features["first"], first)
    assert torch.equal(features["relu_0"], first.relu())
    assert torch.equal(features["second:in"], first.relu())
    assert torch.equal(features["second"], model.second(first.relu()))
    assert (features["second"] < 0).any()
    assert torch.equal(features["relu_1:in"], features["second"].relu() * model.scale - 0.1)
    assert torch.equal(logits, model(images)["logits"])


def test_stops_at_the_last_tap(model: DataDependent) -> None:
    reader = tapped(model, ["first"], logits=False)
    model.second.forward = None  # type: ignore[assignment,method-assign]
    logits, features = reader(torch.randn(2, 3, 32, 32))
    assert logits is None and features["first"].shape == (2, 8, 16, 16)
    assert {name.split(".")[0] for name, _ in reader.named_parameters()} == {"first"}
    everything = {name for name, _ in DataDependent().named_parameters()}
    assert {name for name, _ in tapped(DataDependent(), ["first"]).named_parameters()} == everything


def test_errors(model: DataDependent) -> None:
    with pytest.raises(TutelageError, match="relu_0, relu_1"):
        tapped(model, ["relu"])
    with pytest.raises(TutelageError, match="only modules can be tapped"):
        tapped(model, ["mul"])
    with pytest.raises(TutelageError, match="second"):
        tapped(model, ["secnd"])


def test_frozen(model: DataDependent) -> None:
    reader = tapped(model, ["first"], frozen=["first"]).train()
    before = model.first[1].running_mean.clone()
    reader(torch.randn(2, 3, 32, 32))
    assert torch.equal(model.first[1].running_mean, before)
    assert model.second[1].num_batches_tracked == 1


def test_reading_leaves_no_hooks(model: DataDependent) -> None:
    reader = tapped(model, ["first"])
    reader(torch.randn(2, 3, 32, 32))
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in (*model.modules(), *reader.modules()))


def test_probe(model: DataDependent) -> None:
    probe = Probe(model, (32, 32))
    activations = {point.name: point.activation for point in probe.points}
    assert activations["first"] == "before" and activations["relu_0"] == "after"
    assert probe.num_classes == 4 and probe.shape("second:in") == (8, 16, 16)
    assert [level.name for level in find_levels(model, (32, 32))] == ["first", "second"]


@pytest.mark.parametrize("name", ["mobilenetv3_small_050", "resnet10t"])
def test_reads_what_a_traced_network_reads(name: str) -> None:
    torch.manual_seed(0)
    model = timm.create_model(name, num_classes=4).eval()
    taps = [level.name for level in find_levels(model, (64, 64))]
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        logits, features = HookedNetwork(model, taps, True, (), "")(images)
        expected_logits, expected = tapped(model, taps)(images)
    assert torch.equal(logits, expected_logits)
    assert all(torch.equal(features[tap], expected[tap]) for tap in taps)
    hooked = HookedNetwork(model, taps[:2], False, (), "")
    assert {n for n, _ in hooked.named_parameters()} == {
        n for n, _ in tapped(model, taps[:2], logits=False).named_parameters()
    }


def test_networks_that_torchvision_cannot_trace_are_traced() -> None:
    assert isinstance(tapped(timm.create_model("tiny_vit_5m_224"), ["stages.1"], logits=False), Tapped)
    model = timm.create_model("tf_efficientnetv2_b0", num_classes=4).eval()
    images = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(tapped(model, [])(images)[0], model(images))
