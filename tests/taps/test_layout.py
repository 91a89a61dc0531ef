"""Layouts: maps, tokens with prefixes and channels-last maps, of square images and of others."""

from __future__ import annotations

import pytest
import timm
import torch

from tutelage.errors import TutelageError
from tutelage.taps import Probe, as_map, laid_out, tapped


def test_keeps_maps() -> None:
    for shape in [(2, 5, 4, 4), (2, 7, 7, 7), (2, 12, 90, 90)]:
        features = torch.randn(shape)
        assert as_map(features) is features


@pytest.mark.parametrize(
    ("shape", "input_size"),
    [
        ((2, 64, 64, 128), (256, 512)),  # places 1 and 2 are square, and the images are not
        ((2, 24, 8, 20), (96, 240)),
        ((2, 30, 3, 8), (96, 240)),  # 7.5 columns are rounded up
        ((2, 512, 1, 1), (64, 256)),
        ((2, 1, 4, 8), (32, 64)),
    ],
)
def test_keeps_maps_of_images_that_are_not_square(shape: tuple[int, ...], input_size: tuple[int, int]) -> None:
    features = torch.randn(shape)
    assert as_map(features, input_size) is features


@pytest.mark.parametrize("prefix", [0, 1, 2, 5])
@pytest.mark.parametrize(("grid", "input_size"), [((7, 7), (112, 112)), ((6, 15), (96, 240)), ((8, 2), (256, 64))])
def test_drops_prefix_tokens(prefix: int, grid: tuple[int, int], input_size: tuple[int, int]) -> None:
    height, width = grid
    patches = torch.randn(2, height * width, 3)
    tokens = torch.cat([torch.full((2, prefix, 3), 9.0), patches], dim=1)
    features = as_map(tokens, input_size)
    assert features.shape == (2, 3, height, width)
    assert torch.equal(features[1, :, height - 1, 1], patches[1, (height - 1) * width + 1])


@pytest.mark.parametrize(("shape", "input_size"), [((2, 7, 7, 96), (224, 224)), ((2, 4, 16, 16), (64, 256))])
def test_permutes_channels_last_maps(shape: tuple[int, ...], input_size: tuple[int, int]) -> None:
    features = torch.randn(shape)
    assert torch.equal(as_map(features, input_size), features.permute(0, 3, 1, 2))


@pytest.mark.parametrize("shape", [(2, 13, 8), (2, 1000)])
def test_refuses_what_is_no_map(shape: tuple[int, ...]) -> None:
    features = torch.randn(shape)
    with pytest.raises(TutelageError, match=str(shape[1])):
        as_map(features)
    assert laid_out({"fc": features}, (32, 32))["fc"] is features


@pytest.mark.parametrize(
    ("name", "options", "tap", "shape"),
    [
        ("swin_tiny_patch4_window7_224", {"window_size": 2, "depths": (1, 1)}, "layers.0", (96, 16, 32)),
        ("vit_tiny_patch16_224", {"depth": 1}, "blocks.0", (192, 4, 8)),
        ("resnet18", {}, "layer1", (64, 16, 32)),
    ],
)
def test_probe_and_reading_agree(name: str, options: dict[str, object], tap: str, shape: tuple[int, ...]) -> None:
    size = {"img_size": (64, 128)} if name != "resnet18" else {}
    network = timm.create_model(name, **size, **options).eval()
    assert Probe(network, (64, 128)).shape(tap) == shape
    _, features = tapped(network, [tap], logits=False)(torch.randn(2, 3, 64, 128))
    assert laid_out(features, (64, 128))[tap].shape == (2, *shape)
