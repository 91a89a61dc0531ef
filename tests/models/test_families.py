"""Every family of this package's networks beside CIFAR ResNets and WRNs: sizes as published, levels, running them."""

from __future__ import annotations

import copy
from collections import Counter

import pytest
import torch
from torch import nn

from harness.marks import quickly
from tutelage.models import create_model, parameter_count
from tutelage.taps import Probe

PARAMETERS = [  # (name, classes, parameters)
    ("pyramidnet110_a84", 100, 3_913_536),
    ("pyramidnet200_a240", 100, 26_844_952),
    ("mobilenet_v1", 1000, 4_231_976),
    ("mobilenet_v2_half", 100, 812_836),
    ("vgg8", 100, 3_965_028),
    ("vgg11", 100, 9_277_284),
    ("vgg13", 100, 9_462_180),
    ("vgg16", 10, 14_728_266),
    ("vgg19", 10, 20_040_522),
    ("shufflenet_v1", 100, 949_258),
    ("shufflenet_v2", 100, 1_355_528),
    ("shufflenet_v2_1_5", 100, 2_580_548),
    ("cifar_resnet18", 100, 11_220_132),
    ("cifar_resnet50", 100, 23_705_252),
    ("plain_cnn", 10, 14_438_602),
    ("residual_cnn", 10, 4_996_938),
    ("stagewise_resnet10", 10, 5_170_762),
    ("stagewise_resnet14", 10, 11_072_074),
    ("stagewise_resnet18", 10, 11_441_482),
    ("stagewise_resnet20", 10, 12_622_154),
    ("stagewise_resnet26", 10, 17_712_202),
    ("stagewise_resnet34", 10, 21_549_642),
]
LEVELS = {  # name: (side of the images, levels of the finder with their shapes)
    "pyramidnet110_a84": (32, {"layer1": (44, 32, 32), "layer2": (72, 16, 16), "layer3": (100, 8, 8)}),
    "pyramidnet200_a240": (8, {"layer1": (384, 8, 8), "layer2": (704, 4, 4), "layer3": (1024, 2, 2)}),
    "mobilenet_v1": (
        64,
        {"layer1": (128, 16, 16), "layer2": (256, 8, 8), "layer3": (512, 4, 4), "layer4": (1024, 2, 2)},
    ),
    "mobilenet_v2_half": (
        32,
        {"layer1": (12, 16, 16), "layer2": (16, 8, 8), "layer3": (48, 4, 4), "layer4": (160, 2, 2)},
    ),
    "vgg8": (32, {"block1": (128, 16, 16), "block2": (256, 8, 8), "block4": (512, 4, 4)}),
    "vgg19": (32, {"block1": (128, 16, 16), "block2": (256, 8, 8), "block4": (512, 4, 4)}),
    "shufflenet_v1": (32, {"layer1": (240, 16, 16), "layer2": (480, 8, 8), "layer3": (960, 4, 4)}),
    "shufflenet_v2": (32, {"layer1": (116, 16, 16), "layer2": (232, 8, 8), "layer3": (464, 4, 4)}),
    "cifar_resnet18": (
        32,
        {"layer1": (64, 32, 32), "layer2": (128, 16, 16), "layer3": (256, 8, 8), "layer4": (512, 4, 4)},
    ),
    "cifar_resnet50": (
        32,
        {"layer1": (256, 32, 32), "layer2": (512, 16, 16), "layer3": (1024, 8, 8), "layer4": (2048, 4, 4)},
    ),
    "plain_cnn": (
        224,
        {"block2": (64, 56, 56), "block3": (128, 28, 28), "block4": (256, 14, 14), "block5": (512, 7, 7)},
    ),
    "plain_cnn_adaptive_8": (
        64,
        {"block2": (8, 16, 16), "block3": (16, 8, 8), "block4": (32, 4, 4), "block5": (64, 2, 2)},
    ),
    "residual_cnn": (
        64,
        {"layer1": (64, 16, 16), "layer2": (128, 8, 8), "layer3": (256, 4, 4), "layer4": (512, 2, 2)},
    ),
    "residual_cnn_8": (64, {"layer1": (8, 16, 16), "layer2": (16, 8, 8), "layer3": (32, 4, 4), "layer4": (64, 2, 2)}),
    "stagewise_resnet14": (
        64,
        {"layer1": (64, 16, 16), "layer2": (128, 8, 8), "layer3": (256, 4, 4), "layer4": (512, 2, 2)},
    ),
    "maxout_cifar": (32, {"block1": (96, 33, 33), "block2": (192, 15, 15), "block3": (192, 9, 9)}),
    "fitnet_1": (32, {"block1": (16, 32, 32), "block2": (32, 16, 16), "block3": (64, 8, 8)}),
    "fitnet_4": (32, {"block1": (48, 32, 32), "block2": (80, 16, 16), "block3": (128, 8, 8)}),
}
ELSE = (  # further sizes of the same classes
    *("vgg11", "vgg13", "vgg16", "shufflenet_v2_1_5"),
    *("plain_cnn_adaptive", "plain_cnn_adaptive_32", "plain_cnn_adaptive_16", "residual_cnn_32", "residual_cnn_16"),
    *(f"stagewise_resnet{depth}" for depth in (10, 18, 20, 26, 34)),
    *("fitnet_2", "fitnet_3"),
)


@pytest.mark.parametrize(("name", "classes", "parameters"), PARAMETERS)
def test_parameters(name: str, classes: int, parameters: int) -> None:
    with torch.device("meta"):
        assert parameter_count(create_model(name, classes)) == parameters


def test_students_grow_ever_smaller() -> None:
    for family in ("plain_cnn_adaptive", "residual_cnn"):
        with torch.device("meta"):
            sizes = [parameter_count(create_model(f"{family}{suffix}")) for suffix in ("", "_32", "_16", "_8")]
        assert all(3.5 < large / small < 4.1 for large, small in zip(sizes, sizes[1:]))


@pytest.mark.parametrize("name", LEVELS)
def test_levels(name: str) -> None:
    side, levels = LEVELS[name]
    probe = Probe(create_model(name, 7), (side, side))
    assert {level.name: level.shape for level in probe.levels} == levels
    assert probe.num_classes == 7


@pytest.mark.parametrize("name", quickly(LEVELS, {"mobilenet_v2_half", "vgg8", "shufflenet_v1", "shufflenet_v2"}))
def test_a_training_step(name: str) -> None:
    """Every parameter gets a gradient, and every ReLU is a module of its own that leaves its input as it is."""
    model = create_model(name, 7)
    calls: Counter[nn.Module] = Counter()
    relus = [module for module in model.modules() if isinstance(module, nn.ReLU)]
    for relu in relus:
        relu.register_forward_hook(lambda module, _i, _o: calls.update([module]))
    logits = model(torch.randn(2, 3, LEVELS[name][0], LEVELS[name][0]))
    logits.square().mean().backward()
    assert logits.shape == (2, 7)
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters())
    assert not any(relu.inplace for relu in relus)
    assert [calls[relu] for relu in relus] == [1] * len(relus)


@pytest.mark.parametrize("name", ELSE)
@pytest.mark.chaos
def test_shapes_of_a_training_step(name: str) -> None:
    with torch.device("meta"):
        model = create_model(name, 7)
        logits = model(torch.empty(2, 3, 64, 64))
        logits.sum().backward()
    assert logits.shape == (2, 7)
    assert all(parameter.grad is not None for parameter in model.parameters())


@pytest.mark.parametrize("name", sorted(LEVELS.keys() - {"pyramidnet200_a240", "cifar_resnet50", "vgg19", "fitnet_4"}))
@pytest.mark.chaos
def test_memory_format_changes_neither_logits_nor_state(name: str) -> None:
    model = create_model(name, 7).eval()
    images = torch.randn(2, 3, LEVELS[name][0], LEVELS[name][0])
    before = copy.deepcopy(model.state_dict())
    with torch.no_grad():
        expected = model(images)
        model.to(memory_format=torch.channels_last)
        logits = model(images.contiguous(memory_format=torch.channels_last))
    torch.testing.assert_close(logits, expected, rtol=1e-3, atol=1e-4)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


@pytest.mark.parametrize("name", ["plain_cnn", "maxout_cifar"])
def test_networks_of_one_size(name: str) -> None:
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        create_model(name).eval()(torch.zeros(1, 3, 64, 64))


@pytest.mark.parametrize(
    ("name", "height", "width"),
    [
        ("pyramidnet110_a84", 5, 9),
        ("mobilenet_v1", 48, 72),
        ("mobilenet_v2_half", 17, 40),
        ("vgg8", 8, 20),
        ("shufflenet_v1", 8, 30),
        ("shufflenet_v2", 8, 30),
        ("cifar_resnet18", 8, 20),
        ("plain_cnn_adaptive", 32, 224),
        ("residual_cnn", 32, 100),
        ("stagewise_resnet10", 32, 100),
        ("fitnet_4", 4, 15),
    ],
)
def test_other_sizes(name: str, height: int, width: int) -> None:
    with torch.device("meta"):
        logits = create_model(name, 7).eval()(torch.empty(1, 3, height, width))
    assert logits.shape == (1, 7)
