from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from PIL import Image

from tutelage.data.crops import Box, centre_crop, draw_boxes, random_box, resized_crop


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
    top, left, height, width = box = (10, 20, 60, 80)
    cut = Image.fromarray(noise[top : top + height, left : left + width])
    expected = cut.resize((32, 32), Image.Resampling.BILINEAR)
    got = resized_crop(image, box, 32).permute(1, 2, 0).int()
    assert (got - torch.from_numpy(np.array(expected)).int()).abs().max() <= 1


@pytest.mark.parametrize("height, width", [(300, 500), (500, 300), (256, 256), (60, 50)])
def test_centre_crop_is_the_middle_of_the_resized_image(height: int, width: int) -> None:
    x = torch.linspace(-1, 1, width).expand(height, width)
    y = torch.linspace(-1, 1, height).unsqueeze(1).expand(height, width)
    image = (torch.stack([x, y, x * 0]) * 127 + 128).to(torch.uint8)
    got = centre_crop(image, 112).float()
    assert got.shape == (3, 112, 112)
    shorter = min(height, width)
    spread = {"x": 0.875 * shorter / width, "y": 0.875 * shorter / height}
    assert got[0, 56, -1] == pytest.approx(128 + 127 * spread["x"], abs=4)
    assert got[1, -1, 56] == pytest.approx(128 + 127 * spread["y"], abs=4)
    assert math.isclose(got[2].mean().item(), 128)
