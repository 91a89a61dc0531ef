"""Where a level's output is before its activation, and which normalisation made it."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tutelage.errors import TutelageError
from tutelage.models import create_model
from tutelage.taps import before_activation, find_levels, norm_before, tapped


def levels_before(name: str, side: int) -> list[tuple[str, str | None]]:
    model = create_model(name, 10)
    taps = [before_activation(model, level.name) for level in find_levels(model, (side, side))]
    names = {id(module): path for path, module in model.named_modules()}
    norms = [norm_before(model, tap) for tap in taps]
    return [(tap, None if norm is None else names[id(norm)]) for tap, norm in zip(taps, norms)]


@pytest.mark.parametrize(
    ("name", "side", "expected"),
    [
        # the sum, and the normalisation of the last block's own branch; resnet8's last block has a projection too
        ("resnet8", 32, [(f"layer{i}.0.add", f"layer{i}.0.bn2") for i in (1, 2, 3)]),
        ("timm/resnet10t", 64, [(f"layer{i}.0.add", f"layer{i}.0.bn2") for i in (1, 2, 3, 4)]),
        # raw sums: the next block's first normalisation, the network's last one
        ("wrn_16_2", 32, [(tap, tap) for tap in ("block2.0.bn1", "block3.0.bn1", "bn")]),
        # a normalisation without a ReLU opens PyramidNet's blocks; its convolution has stride 2 in basic blocks
        ("pyramidnet110_a84", 8, [(tap, tap) for tap in ("layer2.0.bn1", "layer3.0.bn1", "bn_final")]),
        ("timm/vit_tiny_patch16_224", 224, [(f"blocks.{i}", None) for i in (2, 5, 8, 11)]),
        # traced by hooks only
        ("timm/dm_nfnet_f0", 64, [(f"stages.{i}", None) for i in range(4)]),
    ],
)
def test_pre_activation_of_stages(name: str, side: int, expected: list[tuple[str, str | None]]) -> None:
    assert levels_before(name, side) == expected


def test_a_relu_behind_a_normalisation() -> None:
    found = levels_before("mobilenet_v1", 64)
    assert len(found) == 4 and all(tap == norm for tap, norm in found)


def test_linear_bottlenecks_are_their_own_pre_activation() -> None:
    for tap, norm in levels_before("torchvision/mobilenet_v2", 64):
        assert norm is not None and norm.startswith(".".join(tap.split(".")[:2]))


def test_the_tap_reads_what_the_relu_is_given() -> None:
    model = create_model("resnet8", 10).eval()
    given: list[torch.Tensor] = []
    model.layer2[-1].relu2.register_forward_pre_hook(lambda _, args: given.append(args[0]))
    images = torch.rand(2, 3, 32, 32)
    model(images)
    _, features = tapped(model, [before_activation(model, "layer2")])(images)
    torch.testing.assert_close(features["layer2.0.add"], given[0])
    assert given[0].min() < 0


def test_a_normalisation_without_weights_makes_no_margin() -> None:
    class Plain(nn.Sequential): ...

    model = Plain(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4, affine=False), nn.ReLU(), nn.Conv2d(4, 4, 3))
    assert before_activation(model, "2") == "1"
    assert norm_before(model, "1") is None


def test_an_unknown_tap_is_an_error() -> None:
    with pytest.raises(TutelageError, match="did you mean layer3"):
        before_activation(create_model("resnet8", 10), "layer_3")
