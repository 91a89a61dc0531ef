"""tapped() shares the model's state and leaves everything else of it alone; it trains like the model itself."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import timm
import torch
import torchvision
from torch import nn
from torch.nn import functional

from harness.marks import quickly
from taps.networks import Buffered, Careless, DataDependent
from tutelage.errors import TutelageError
from tutelage.taps import Probe, tapped

NETWORKS: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "resnet18": (lambda: torchvision.models.resnet18(num_classes=4), "layer2.0.add"),
    "mobilenet_v3_small": (lambda: torchvision.models.mobilenet_v3_small(num_classes=4), "features.3"),
    "efficientnet with stochastic depth": (
        lambda: torchvision.models.efficientnet_b0(num_classes=4, stochastic_depth_prob=0.5),
        "features.2",
    ),
    # Without zero_init_last the residual branches count from the first step, and with them their drop path.
    "timm resnet10t": (
        lambda: timm.create_model("resnet10t", num_classes=4, drop_path_rate=0.3, zero_init_last=False),
        "layer2",
    ),
    "timm mobilenetv3": (
        lambda: timm.create_model("mobilenetv3_small_050", num_classes=4, drop_path_rate=0.3, drop_rate=0.2),
        "blocks.1.0.bn1.norm",
    ),
    "timm convnext": (
        lambda: timm.create_model("convnext_atto", num_classes=4, drop_path_rate=0.3, ls_init_value=0.5),
        "stages.1",
    ),
    "timm vit": (
        lambda: timm.create_model("vit_tiny_patch16_224", img_size=64, num_classes=4, proj_drop_rate=0.1, depth=4),
        "blocks.1",
    ),
    "timm swin": (
        lambda: timm.create_model(
            "swin_tiny_patch4_window7_224",
            img_size=64,
            window_size=2,
            num_classes=4,
            embed_dim=24,
            depths=(1, 2, 1, 1),
            num_heads=(1, 2, 2, 2),
        ),
        "layers.1",
    ),
    "timm mobilevit": (lambda: timm.create_model("mobilevit_xxs", num_classes=4), "stages.2"),
    "careless": (Careless, "act_0"),
    "buffered": (Buffered, "conv"),
    "data dependent": (DataDependent, "first"),
}


QUICK = {"resnet18", "mobilenet_v3_small", "timm convnext", "timm vit", "careless", "buffered", "data dependent"}


@pytest.fixture(params=quickly(NETWORKS, QUICK))
def network(request: pytest.FixtureRequest) -> tuple[nn.Module, str]:
    torch.manual_seed(0)
    create, tap = NETWORKS[request.param]
    return create(), tap


def _state(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}


def _assert_same_state(model: nn.Module, state: dict[str, torch.Tensor]) -> None:
    assert list(model.state_dict()) == list(state)
    assert [name for name, value in model.state_dict().items() if not torch.equal(value, state[name])] == []


def _step(forward: nn.Module, optimizer: torch.optim.Optimizer, images: torch.Tensor) -> torch.Tensor:
    torch.manual_seed(3)
    logits = forward(images)
    logits = logits[0] if isinstance(logits, tuple) else logits
    logits = logits["logits"] if isinstance(logits, dict) else logits
    loss = functional.cross_entropy(logits, torch.tensor([0, 1, 2, 3]))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.detach()


def test_trains_exactly_like_the_plain_model(network: tuple[nn.Module, str]) -> None:
    plain, tap = network
    student = copy.deepcopy(plain)
    reader = tapped(student, [tap])
    images = torch.randn(4, 3, 64, 64)
    first = torch.optim.SGD(plain.train().parameters(), lr=0.05, momentum=0.9)
    second = torch.optim.SGD(reader.train().parameters(), lr=0.05, momentum=0.9)
    for _ in range(2):
        assert torch.equal(_step(plain, first, images), _step(reader, second, images))
    _assert_same_state(student, plain.state_dict())
    with torch.no_grad():
        expected = plain.eval()(images)
        assert torch.equal(reader.eval()(images)[0], expected["logits"] if isinstance(expected, dict) else expected)


def test_building_and_probing_change_nothing(network: tuple[nn.Module, str]) -> None:
    model, tap = network
    model.train()
    frozen_part = next(module for module in model.modules() if not list(module.children()))
    frozen_part.eval()
    modes = [module.training for module in model.modules()]
    attributes = [getattr(module, "inplace", None) for module in model.modules()]
    kinds = [type(module) for module in model.modules()]
    keys = [set(vars(module)) for module in model.modules()]
    state, random = _state(model), torch.get_rng_state()
    reader = tapped(model, [tap])
    Probe(model, (64, 64))
    _assert_same_state(model, state)
    assert torch.equal(random, torch.get_rng_state())
    assert [module.training for module in model.modules()] == modes
    assert [getattr(module, "inplace", None) for module in model.modules()] == attributes
    assert [type(module) for module in model.modules()] == kinds
    assert [set(vars(module)) for module in model.modules()] == keys
    assert reader.training
    with torch.no_grad():
        reader.eval()(torch.randn(2, 3, 64, 64))
    _assert_same_state(model, state)


def test_parameters_are_the_models_own(network: tuple[nn.Module, str]) -> None:
    model, tap = network
    parameters = dict(model.named_parameters())
    for name, value in tapped(model, [tap]).named_parameters():
        assert value is parameters[name]


def test_follows_casts_and_loads(network: tuple[nn.Module, str]) -> None:
    model, tap = network
    reader = tapped(model, [tap]).eval()
    images = torch.randn(2, 3, 64, 64)
    other = copy.deepcopy(model)
    for value in other.state_dict().values():
        if value.is_floating_point():
            value.mul_(1.01)
    model.load_state_dict(other.state_dict())
    model.double()
    assert {value.dtype for value in reader.parameters()} == {torch.float64}
    with torch.no_grad():
        expected = other.double().eval()(images.double())
        logits, _ = reader(images.double())
    torch.testing.assert_close(logits, expected["logits"] if isinstance(expected, dict) else expected)
    reader.float()
    kept = {name for name, _ in reader.named_parameters()}
    assert {value.dtype for name, value in model.named_parameters() if name in kept} == {torch.float32}
    model.float()
    model.load_state_dict({name: value.float() for name, value in other.state_dict().items()}, assign=True)
    with torch.no_grad():
        expected = model.eval()(images)
        logits, _ = reader(images)
    assert torch.equal(logits, expected["logits"] if isinstance(expected, dict) else expected)


def test_a_deep_copy_reads_the_same(network: tuple[nn.Module, str]) -> None:
    model, tap = network
    reader = tapped(model, [tap]).eval()
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(copy.deepcopy(reader)(images)[0], reader(images)[0])


def test_frozen_modules_stay_in_eval_mode() -> None:
    torch.manual_seed(0)
    model = timm.create_model("resnet10t", num_classes=4, drop_path_rate=0.5, zero_init_last=False)
    reader = tapped(model, ["layer3"], frozen=["conv1", "bn1", "layer1", "layer2"]).train()
    state = _state(model)
    images = torch.randn(4, 3, 64, 64)
    _, first = reader(images)
    _, second = reader(images)
    changed = {name for name, value in model.state_dict().items() if not torch.equal(value, state[name])}
    assert changed and all(name.startswith(("layer3", "layer4")) for name in changed)
    early = tapped(model, ["layer2"], frozen=["conv1", "bn1", "layer1", "layer2"], logits=False).train()
    assert torch.equal(early(images)[1]["layer2"], early(images)[1]["layer2"])
    assert not torch.equal(first["layer3"], second["layer3"])


def test_frozen_part_of_a_network_with_functional_dropout() -> None:
    reader = tapped(Careless(), [], frozen=[""]).train()
    images = torch.randn(2, 3, 8, 8)
    assert torch.equal(reader(images)[0], reader(images)[0])


def test_unknown_frozen_module() -> None:
    with pytest.raises(TutelageError, match="layer1"):
        tapped(torchvision.models.resnet18(), ["layer2"], frozen=["layre1"])


def test_module_at_two_places_is_one_module() -> None:
    shared = nn.Conv2d(4, 4, 1)
    model = nn.Sequential(nn.Conv2d(3, 4, 1), shared, nn.ReLU(), shared)
    reader = tapped(model, ["1_0", "1_1"])
    images = torch.randn(2, 3, 8, 8)
    logits, features = reader(images)
    assert torch.equal(logits, model(images)) and torch.equal(features["1_1"], logits)
    assert len(list(reader.parameters())) == 4


def test_frozen_running_statistics_seen_after_a_change() -> None:
    model = torchvision.models.resnet18(num_classes=4)
    reader = tapped(model, ["bn1"]).eval()
    images = torch.randn(2, 3, 32, 32)
    model.train()(images)
    with torch.no_grad():
        assert torch.equal(reader(images)[0], model.eval()(images))
