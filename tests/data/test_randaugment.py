from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torchvision.transforms import v2

from tutelage.data import DataSettings, RandAugment, Views, open_data
from tutelage.data.views.randaugment import MAGNITUDES, OPERATIONS, Strength

DRAW = torch.Generator().manual_seed(0)
NOISE = torch.randint(0, 256, (60, 3, 17, 12), dtype=torch.uint8, generator=DRAW)
SMOOTH = (NOISE.float().cumsum(2).cumsum(3) % 256).to(torch.uint8)
IMAGES = torch.cat([NOISE[:30], SMOOTH[:30] // 2 + 40])
INDEX = torch.arange(60) * 101 + 3
TORCHVISIONS = v2.RandAugment()


def torchvisions(images: Tensor, name: str, by: Strength) -> Tensor:
    """What torchvision's RandAugment does once it has drawn, one image at a time."""
    space, signed = TORCHVISIONS._AUGMENTATION_SPACE[name]
    magnitudes = space(TORCHVISIONS.num_magnitude_bins, *images.shape[2:])
    magnitude = 0.0 if magnitudes is None else float(magnitudes[by.magnitude]) * (by.sign if signed else 1)
    apply, interpolation, fill = (
        TORCHVISIONS._apply_image_or_video_transform,
        TORCHVISIONS.interpolation,
        TORCHVISIONS._fill,
    )
    return torch.stack([apply(image, name, magnitude, interpolation, fill) for image in images])


def test_operations_are_torchvisions() -> None:
    assert list(OPERATIONS) == list(TORCHVISIONS._AUGMENTATION_SPACE)


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("magnitude", [0, 9, 10, 30])
@pytest.mark.parametrize("name", OPERATIONS)
def test_each_operation_is_torchvisions(name: str, magnitude: int, sign: int) -> None:
    before = IMAGES.clone()
    by = Strength(magnitude, sign)
    got, expected = OPERATIONS[name](IMAGES, by), torchvisions(IMAGES, name, by)
    assert got.dtype == torch.uint8 and torch.equal(IMAGES, before)
    assert torch.equal(got, expected)


@pytest.mark.parametrize("operations", [1, 2, 3])
def test_operations_follow_each_other_sample_by_sample(operations: int) -> None:
    augment = RandAugment(operations, magnitude=15, view_seed=4)
    names = list(OPERATIONS)
    got = augment(IMAGES, INDEX, 6)
    for place, index in enumerate(INDEX):
        image = IMAGES[place : place + 1]
        for number in range(operations):
            choice = int(augment.choose(index, 6, number))
            image = torchvisions(image, names[choice // 2], Strength(15, -1 if choice % 2 else 1))
        assert torch.equal(got[place], image[0])


def test_a_view_does_not_depend_on_its_batch() -> None:
    augment, order = RandAugment(2), torch.randperm(60)
    whole = augment(IMAGES, INDEX, 1)
    assert not torch.equal(whole, IMAGES)
    assert torch.equal(augment(IMAGES[order], INDEX[order], 1), whole[order])
    assert torch.equal(augment(IMAGES.contiguous(memory_format=torch.channels_last), INDEX, 1), whole)
    for place in range(60):
        alone = slice(place, place + 1)
        assert torch.equal(augment(IMAGES[alone], INDEX[alone], 1), whole[alone])


@pytest.mark.parametrize("name", ["Color", "Contrast", "Sharpness", "AutoContrast"])
def test_no_pixel_is_rounded_otherwise_in_another_batch(name: str) -> None:
    """Vectors of pixels and the few that are left over at the end take different instructions."""
    images = torch.randint(0, 256, (9, 3, 67, 61), dtype=torch.uint8, generator=DRAW)
    for magnitude in range(MAGNITUDES):
        for sign in (1, -1):
            whole = OPERATIONS[name](images, Strength(magnitude, sign))
            for place in (0, 4, 8):
                assert torch.equal(
                    OPERATIONS[name](images[place : place + 1], Strength(magnitude, sign))[0], whole[place]
                )


def test_all_operations_and_signs_are_equally_likely_in_every_round() -> None:
    augment, index = RandAugment(2), torch.arange(28_000)
    first, second = augment.choose(index, 0, 0), augment.choose(index, 0, 1)
    for choices in (first, second, augment.choose(index, 1, 0), RandAugment(2, view_seed=1).choose(index, 0, 0)):
        counts = torch.bincount(choices).float()
        assert len(counts) == 2 * len(OPERATIONS)
        assert ((counts - 1000) ** 2 / 1000).sum() < 60  # 27 degrees of freedom
        assert choices is first or (choices == first).float().mean().item() == pytest.approx(1 / 28, abs=0.005)


def test_views_augment_what_they_cropped() -> None:
    views = Views(2, flip=True, view_seed=5)
    augmented = Views(2, flip=True, view_seed=5, randaugment=RandAugment(2, 9, 5))
    expected = RandAugment(2, 9, 5)(views(IMAGES, INDEX, 3), INDEX, 3)
    assert torch.equal(augmented(IMAGES, INDEX, 3), expected)
    assert not torch.equal(expected, views(IMAGES, INDEX, 3))


def test_policy_comes_from_settings() -> None:
    def augmentation(**settings: Any) -> RandAugment | None:
        return open_data(DataSettings(name="digits", **settings)).views.randaugment

    assert augmentation() is None
    assert augmentation(randaugment=2, augment=False) is None
    assert augmentation(randaugment=2, randaugment_magnitude=15, view_seed=3) == RandAugment(2, 15, 3)


def test_golden_values() -> None:
    """A run that is resumed with a newer version must go on with the same views."""
    assert RandAugment(2, view_seed=7).choose(torch.tensor([0, 1, 49_999]), 3, 1).tolist() == GOLDEN


GOLDEN = [12, 22, 24]


@pytest.mark.gpu
@pytest.mark.parametrize("name", OPERATIONS)
def test_cuda_gives_the_same_views(name: str) -> None:
    for sign in (1, -1):
        got = OPERATIONS[name](IMAGES.cuda(), Strength(9, sign)).cpu()
        difference = (got.int() - OPERATIONS[name](IMAGES, Strength(9, sign)).int()).abs()
        # What is computed in floating point and then cut off may differ by one level.
        assert difference.max() <= (name in ("Color", "Contrast", "Sharpness", "AutoContrast"))
        assert difference.float().mean() < 0.01


@pytest.mark.gpu
def test_cuda_draws_the_same_operations() -> None:
    got, expected = (RandAugment(1)(images, INDEX, 1).cpu().int() for images in (IMAGES.cuda(), IMAGES))
    assert (got - expected).abs().max() <= 1
