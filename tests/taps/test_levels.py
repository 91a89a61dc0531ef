"""Probing, finding levels and pairing them."""

from __future__ import annotations

import pytest
import timm
import torch
import torchvision
from torch import nn

from tutelage.errors import TutelageError
from tutelage.models import create_model
from tutelage.taps import Probe, find_levels, pair_levels, tap_points


def _names(model: nn.Module, size: int) -> list[str]:
    return [level.name for level in find_levels(model, (size, size))]


@pytest.mark.parametrize(
    ("name", "size", "levels"),
    [
        ("torchvision/resnet18", 224, ["layer1", "layer2", "layer3", "layer4"]),
        ("torchvision/mobilenet_v3_small", 224, ["features.1", "features.3", "features.8", "features.12"]),
        ("torchvision/vgg11", 32, ["features.1", "features.4", "features.9", "features.14", "features.19"]),
        ("torchvision/densenet121", 64, [f"features.denseblock{n}" for n in (1, 2, 3, 4)]),
        ("torchvision/regnet_y_400mf", 64, [f"trunk_output.block{n}" for n in (1, 2, 3, 4)]),
        ("resnet20", 32, ["layer1", "layer2", "layer3"]),
        ("wrn_16_2", 32, ["block1", "block2", "block3"]),
        ("timm/resnet10t", 64, ["layer1", "layer2", "layer3", "layer4"]),
        ("timm/mobilenetv3_small_050", 64, ["blocks.0", "blocks.1", "blocks.3", "blocks.5"]),
        ("timm/convnext_atto", 64, ["stages.0", "stages.1", "stages.2", "stages.3"]),
        ("timm/vit_tiny_patch16_224", 224, ["blocks.2", "blocks.5", "blocks.8", "blocks.11"]),
        ("timm/xcit_nano_12_p16_224", 224, ["blocks.2", "blocks.5", "blocks.8", "blocks.11"]),
        ("timm/mobilevit_xxs", 64, ["stages.0", "stages.1", "stages.2", "stages.3", "final_conv"]),
    ],
)
def test_find_levels(name: str, size: int, levels: list[str]) -> None:
    assert _names(create_model(name), size) == levels


@pytest.mark.parametrize(
    ("name", "size", "tap"),
    [
        ("resnet8", 16, "layer3"),
        ("wrn_10_1", 16, "relu"),
        ("torchvision/densenet121", 64, "relu"),
        ("torchvision/squeezenet1_1", 64, "classifier.0"),
        ("timm/test_vit", 160, "norm"),
    ],
)
def test_the_last_map(name: str, size: int, tap: str) -> None:
    assert Probe(create_model(name), (size, size)).last_map == tap


def test_no_last_map() -> None:
    with pytest.raises(TutelageError, match="64 channels.*4x4 pixels.*more than one position; use larger"):
        _ = Probe(create_model("resnet8"), (4, 4)).last_map


def test_levels_of_a_few_layers() -> None:
    flat = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 8, 3, padding=1), nn.ReLU()
    )
    assert _names(flat, 16) == ["1", "4"]
    blocks = nn.Sequential(
        *(nn.Sequential(nn.Conv2d(width, 8, 3, stride=2, padding=1), nn.ReLU()) for width in (3, 8, 8))
    )
    assert _names(blocks, 32) == ["0", "1", "2"]


def test_shapes_of_tokens_and_channels_last_maps() -> None:
    vit = Probe(timm.create_model("vit_tiny_patch16_224", img_size=64, depth=4), (64, 64))
    assert vit.shape("blocks.3") == (192, 4, 4) and vit.shape("blocks.3:in") == (192, 4, 4)
    swin = Probe(timm.create_model("swin_tiny_patch4_window7_224", img_size=64, window_size=2), (64, 64))
    assert [(s.name, s.shape) for s in swin.levels] == [
        ("layers.0", (96, 16, 16)),
        ("layers.1", (192, 8, 8)),
        ("layers.2", (384, 4, 4)),
        ("layers.3", (768, 2, 2)),
    ]


def test_probe_of_resnet() -> None:
    model = torchvision.models.resnet18(num_classes=7)
    probe = Probe(model, (64, 64))
    points = {point.name: point for point in probe.points}
    assert probe.model is model and probe.num_classes == 7
    assert list(points) == [point.name for point in tap_points(model, (64, 64))]
    assert points["layer3.1.add"].activation == "before" and points["layer3.1.relu_1"].activation == "after"
    assert points["layer3"].activation == "after" and points["layer3.1.conv1"].activation == ""
    assert points["layer3.1.bn1"].activation == "before"
    assert points["layer3.1.bn1"].operation == "BatchNorm2d" and points["layer3.1.add"].operation == "add"
    assert points["conv1"].shape == (64, 32, 32) and probe.shape("layer1:in") == (64, 16, 16)
    assert [points[name].level for name in ("conv1", "layer1", "layer2.0.conv1", "layer4", "fc")] == [0, 0, 1, 3, None]
    with pytest.raises(TutelageError, match="layer3"):
        probe.shape("layer33")


def test_activation_of_split_norms() -> None:
    points = {point.name: point for point in tap_points(timm.create_model("mobilenetv3_small_050"), (64, 64))}
    assert points["blocks.1.0.bn1.norm"].activation == "before" and points["blocks.1.0.bn1"].activation == "after"


def test_probe_of_a_headless_network_and_of_a_wrong_size() -> None:
    assert Probe(nn.Conv2d(3, 4, 1), (8, 8)).num_classes is None
    with pytest.raises(TutelageError, match="does not accept 32x32 images.*224"):
        Probe(timm.create_model("vit_tiny_patch16_224", depth=1), (32, 32))


def test_pairs_of_equal_stride() -> None:
    teacher = torchvision.models.resnet18()
    student = Probe(torchvision.models.mobilenet_v3_small(), (224, 224))
    assert pair_levels(teacher, student) == [
        ("layer1", "features.1"),
        ("layer2", "features.3"),
        ("layer3", "features.8"),
        ("layer4", "features.12"),
    ]
    small = Probe(create_model("resnet8"), (32, 32))
    assert pair_levels(Probe(create_model("resnet20"), (32, 32)), small) == [(f"layer{n}",) * 2 for n in (1, 2, 3)]
    # Strides count from each network's own input.
    assert pair_levels(Probe(create_model("resnet20"), (64, 64)), small) == [(f"layer{n}",) * 2 for n in (1, 2, 3)]


def test_pairs_where_no_stride_is_shared_start_at_the_deepest() -> None:
    pairs = pair_levels(Probe(torchvision.models.resnet18(), (64, 64)), Probe(create_model("wrn_10_1"), (32, 32)))
    assert pairs == [("layer1", "block3")]
    dense = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 8, 3, padding=1))
    pairs = pair_levels(Probe(torchvision.models.resnet18(), (64, 64)), Probe(dense, (32, 32)))
    assert pairs == [("layer3", "1"), ("layer4", "3")]


def test_pairs_of_a_transformer_go_by_relative_depth() -> None:
    vit = Probe(timm.create_model("vit_tiny_patch16_224"), (224, 224))
    cnn = Probe(timm.create_model("mobilenetv3_small_050"), (64, 64))
    assert [teacher for teacher, _ in pair_levels(vit, cnn)] == ["blocks.2", "blocks.5", "blocks.8", "blocks.11"]
    three = Probe(create_model("resnet8"), (32, 32))
    assert pair_levels(three, vit) == [("layer1", "blocks.2"), ("layer2", "blocks.5"), ("layer3", "blocks.11")]


def test_no_levels_to_pair() -> None:
    flat = nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 8, 4))
    with pytest.raises(TutelageError, match="student.*METHOD.taps"):
        pair_levels(Probe(create_model("resnet8"), (32, 32)), Probe(flat, (8, 8)))


def test_dry_pass_keeps_double_precision() -> None:
    model = torchvision.models.resnet18().double()
    assert Probe(model, (64, 64)).num_classes == 1000
    assert next(model.parameters()).dtype == torch.float64


def test_names_from_before_0_2_still_work_and_name_their_successors() -> None:
    model = create_model("resnet8")
    with pytest.deprecated_call(match="find_levels"):
        from tutelage.taps import find_stages
    with pytest.deprecated_call(match="pair_levels"):
        from tutelage.taps import pair_stages
    assert (find_stages, pair_stages) == (find_levels, pair_levels)
    probe = Probe(model, (32, 32))
    with pytest.deprecated_call(match="Probe.levels"):
        stages = probe.stages
    with pytest.deprecated_call(match="TapPoint.level"):
        assert [point.stage for point in stages] == [0, 1, 2]
