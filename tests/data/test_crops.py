from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from PIL import Image

from tutelage.data.stored.crops import Box, Framing, centre_crop, draw_boxes, letterbox, random_box, resize


def test_boxes_lie_inside_with_the_area_and_shape_asked_for() -> None:
    boxes = [random_box(400, 400, (0.1, 0.5), draws) for draws in draw_boxes(0, 1, torch.arange(4000))]
    areas = np.array([height * width / 160_000 for _, _, height, width in boxes])
    ratios = np.array([width / height for _, _, height, width in boxes])
    assert all(top >= 0 and left >= 0 and top + h <= 400 and left + w <= 400 for top, left, h, w in boxes)
    assert areas.min() > 0.09 and areas.max() < 0.51 and ratios.min() > 0.74 and ratios.max() < 1.35
    assert abs(np.log(ratios).mean()) < 0.02
    assert np.quantile(areas, 0.1) == pytest.approx(0.14, abs=0.01)  # uniform in 0.1 … 0.5
    assert len({box[:2] for box in boxes}) > 3500


def test_a_box_is_a_pure_function_of_seed_epoch_and_index() -> None:
    keys = [(0, 0, 5), (1, 0, 5), (0, 1, 5), (0, 0, 6)]

    def box(seed: int, epoch: int, index: int, beside: int) -> Box:
        return random_box(200, 200, (0.08, 1.0), draw_boxes(seed, epoch, torch.tensor([beside, index]))[1])

    boxes = [box(*key, beside=0) for key in keys]
    assert len(set(boxes)) == 4 and boxes == [box(*key, beside=77) for key in keys]


def test_a_very_long_image_gives_its_middle() -> None:
    assert random_box(20, 1000, (1.0, 1.0), draw_boxes(0, 0, torch.tensor([0]))[0]) == (0, (1000 - 27) // 2, 20, 27)


def test_crop_is_resized_as_pillow_does_it() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (90, 120, 3), dtype=np.uint8)
    image = torch.from_numpy(noise).permute(2, 0, 1)
    top, left, height, width = 10, 20, 60, 80
    cut = Image.fromarray(noise[top : top + height, left : left + width])
    expected = cut.resize((32, 32), Image.Resampling.BILINEAR)
    got = resize(image[:, top : top + height, left : left + width], (32, 32)).permute(1, 2, 0).int()
    assert (got - torch.from_numpy(np.array(expected)).int()).abs().max() <= 1


@pytest.mark.parametrize("height, width", [(300, 500), (500, 300), (256, 256), (60, 50)])
def test_centre_crop_is_the_middle_of_the_resized_image(height: int, width: int) -> None:
    x = torch.linspace(-1, 1, width).expand(height, width)
    y = torch.linspace(-1, 1, height).unsqueeze(1).expand(height, width)
    image = (torch.stack([x, y, x * 0]) * 127 + 128).to(torch.uint8)
    got = centre_crop(image, (112, 112)).float()
    assert got.shape == (3, 112, 112)
    shorter = min(height, width)
    spread = {"x": 0.875 * shorter / width, "y": 0.875 * shorter / height}
    assert got[0, 56, -1] == pytest.approx(128 + 127 * spread["x"], abs=4)
    assert got[1, -1, 56] == pytest.approx(128 + 127 * spread["y"], abs=4)
    assert math.isclose(got[2].mean().item(), 128)


def gradient(height: int, width: int) -> torch.Tensor:
    """An image whose red grows from left to right and whose green grows from top to bottom, from 28 to 228."""
    x = torch.linspace(28, 228, width).expand(height, width)
    y = torch.linspace(28, 228, height).unsqueeze(1).expand(height, width)
    return torch.stack([x, y, x * 0]).to(torch.uint8)


@pytest.mark.parametrize("height, width", [(300, 500), (40, 90), (700, 200)])
def test_a_view_has_the_shape_asked_for_and_shows_what_it_says(height: int, width: int) -> None:
    size = (96, 240)
    shown = {mode: Framing(size, mode, keep=1.0).centre(gradient(height, width)) for mode in ("crop", "squash", "pad")}
    assert {tuple(view.shape) for view in shown.values()} == {(3, 96, 240)}
    seen = 200 * min(1, width * 96 / 240 / height), 200 * min(1, height * 240 / 96 / width)
    middle = shown["crop"].int()
    assert middle[1, -1, 120] - middle[1, 0, 120] == pytest.approx(seen[0], abs=5)
    assert middle[0, 48, -1] - middle[0, 48, 0] == pytest.approx(seen[1], abs=5)
    assert Framing(size).shown(height, width) == pytest.approx(seen[0] * seen[1] / 200**2)
    # Of both others the whole image is seen: squashed to the view, or inside a white border.
    squashed = shown["squash"].int()
    assert (squashed[:2, 0, 0] - 28).abs().max() <= 3 and (squashed[:2, -1, -1] - 228).abs().max() <= 3
    inside = shown["pad"][:, :, (shown["pad"] != 255).any(0).any(0)][:, (shown["pad"] != 255).any(0).any(1)].int()
    assert inside.shape[2] / inside.shape[1] == pytest.approx(width / height, rel=0.03)
    assert (inside[:2, 0, 0] - 28).abs().max() <= 6 and (inside[:2, -1, -1] - 228).abs().max() <= 6


@pytest.mark.parametrize("mode", ["crop", "squash", "pad"])
def test_random_views_have_the_shape_of_the_view_or_of_the_image(mode: str) -> None:
    framing = Framing((50, 100), mode, fill="black")  # type: ignore[arg-type]
    views = [framing.random(gradient(400, 400), (0.2, 0.3), draws) for draws in draw_boxes(0, 0, torch.arange(200))]
    channels = [[channel[channel > 0] for channel in view[:2]] for view in views]
    spans = torch.tensor([[int(seen.max()) - int(seen.min()) for seen in pair] for pair in channels])
    ratio = (spans[:, 0].float() / spans[:, 1]).log().mean().exp()
    assert ratio == pytest.approx(2.0 if mode == "crop" else 1.0, rel=0.06)
    assert all(view.shape == (3, 50, 100) for view in views)
    bordered = [bool((view[:, :, 0] == 0).all()) for view in views]
    assert all(bordered) if mode == "pad" else not any(bordered)


@pytest.mark.parametrize("shape", [(20_000, 1), (1, 20_000), (3, 5_000)])
@pytest.mark.parametrize("mode", ["crop", "squash", "pad"])
def test_a_very_long_image_never_becomes_large(
    shape: tuple[int, int], mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pixels: list[int] = []
    original = torch.nn.functional.interpolate

    def counted(image: torch.Tensor, *arguments: object, **options: object) -> torch.Tensor:
        out = original(image, *arguments, **options)  # type: ignore[arg-type]
        pixels.append(out.numel())
        return out

    monkeypatch.setattr(torch.nn.functional, "interpolate", counted)
    framing = Framing((224, 224), mode)  # type: ignore[arg-type]
    image = torch.full((3, *shape), 7, dtype=torch.uint8)
    views = [framing.centre(image), framing.random(image, (0.08, 1.0), draw_boxes(0, 0, torch.tensor([0]))[0])]
    assert all(view.shape == (3, 224, 224) and (view == 7).any() for view in views)
    assert max(pixels) < 5 * 3 * 256 * 256


def test_the_ends_that_are_cut_are_not_seen() -> None:
    noise = torch.randint(0, 256, (3, 40, 1000), dtype=torch.uint8)
    long = torch.cat([noise.flip(2), noise, noise.flip(1)], dim=2)
    difference = centre_crop(noise, (32, 32)).int() - centre_crop(long, (32, 32)).int()
    assert difference.abs().max() <= 1


def test_a_letterbox_of_the_right_shape_is_a_resize() -> None:
    noise = torch.randint(0, 256, (3, 40, 60), dtype=torch.uint8)
    assert torch.equal(letterbox(noise, (20, 30), "red"), resize(noise, (20, 30)))
