from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor

from tutelage.data import DataSettings, TrainLoader, Views, open_data, uniform
from tutelage.data.hashing import Stream

IMAGES = torch.randint(0, 256, (40, 3, 12, 10), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
INDEX = torch.arange(40) * 101 + 3
POLICIES = [Views(4, "zeros", True, 5), Views(4, "reflect", True, 5), Views(2, "zeros", False), Views(0, flip=True)]


def naive(views: Views, image: npt.NDArray[np.uint8], index: int, epoch: int) -> npt.NDArray[np.uint8]:
    """One sample at a time: pad, crop, mirror."""
    at, pad = torch.tensor([index]), views.padding
    draw = {stream: uniform(views.view_seed, epoch, at, stream).item() for stream in Stream}
    mode = {"zeros": "constant", "reflect": "reflect"}[views.padding_mode]
    padded = np.pad(image, ((0, 0), (pad, pad), (pad, pad)), mode=mode)  # type: ignore[call-overload]
    top, left = int(draw[Stream.ROW] * (2 * pad + 1)), int(draw[Stream.COLUMN] * (2 * pad + 1))
    crop = padded[:, top : top + image.shape[1], left : left + image.shape[2]]
    return crop[:, :, ::-1] if views.flip and draw[Stream.FLIP] < 0.5 else crop


@pytest.mark.parametrize("views", POLICIES, ids=str)
def test_views_equal_a_naive_pad_crop_and_flip(views: Views) -> None:
    got = views(IMAGES, INDEX, epoch=7)
    assert got.dtype == torch.uint8
    for image, index, view in zip(IMAGES, INDEX, got):
        assert np.array_equal(view.numpy(), naive(views, image.numpy(), int(index), 7))


@pytest.mark.parametrize("views", POLICIES, ids=str)
def test_a_view_does_not_depend_on_its_batch(views: Views) -> None:
    whole, order = views(IMAGES, INDEX, 1), torch.randperm(40)
    assert torch.equal(views(IMAGES[order], INDEX[order], 1), whole[order])
    assert torch.equal(views(IMAGES[3:4], INDEX[3:4], 1), whole[3:4])
    channels_last = IMAGES.contiguous(memory_format=torch.channels_last)
    assert torch.equal(views(channels_last, INDEX, 1), whole)


def test_views_change_with_epoch_and_view_seed_and_leave_the_images_alone() -> None:
    before = IMAGES.clone()

    def same(a: Tensor, b: Tensor) -> float:
        return (a == b).flatten(1).all(1).float().mean().item()

    views = Views(4, flip=True)
    first = views(IMAGES, INDEX, 0)
    assert same(first, views(IMAGES, INDEX, 0)) == 1
    assert same(first, views(IMAGES, INDEX, 1)) < 0.2
    assert same(first, Views(4, flip=True, view_seed=1)(IMAGES, INDEX, 0)) < 0.2
    assert torch.equal(IMAGES, before)


def test_all_offsets_are_equally_likely() -> None:
    position = torch.arange(9 * 9).view(1, 1, 9, 9).expand(20_000, 3, 9, 9).to(torch.uint8)
    corners = Views(1)(position, torch.arange(20_000), 0)[:, 0, 4, 4].long()
    counts = torch.bincount(corners)
    assert counts.count_nonzero() == 9 and counts[counts > 0].min() > 2000  # of 2222 expected


def test_policy_comes_from_settings_and_data() -> None:
    assert open_data(DataSettings(name="digits", view_seed=3)).views == Views(1, "zeros", False, 3)
    given = DataSettings(name="digits", padding=2, padding_mode="reflect", flip=True)
    assert open_data(given).views == Views(2, "reflect", True, 0)
    plain = open_data(DataSettings(name="digits", augment=False, flip=True))
    batch = next(TrainLoader(plain.train, 32, 0).epoch(0))
    assert torch.equal(plain.views(batch.images, batch.index, 0), batch.images)


@pytest.mark.parametrize(
    ("settings", "random"),
    [
        ({}, True),
        ({"augment": False}, False),
        ({"padding": 0}, False),
        ({"padding": 0, "flip": True}, True),
        ({"padding": 0, "randaugment": 1}, True),
    ],
)
def test_data_know_whether_views_change_from_epoch_to_epoch(settings: dict[str, Any], random: bool) -> None:
    data = open_data(DataSettings(name="digits", **settings))
    batch = next(TrainLoader(data.train, 64, 0).epoch(0))
    first, second = (data.views(batch.images, batch.index, epoch) for epoch in (0, 1))
    assert data.random == random == (not torch.equal(first, second))


def test_view_seed_is_apart_from_the_seed_of_the_order(real_data: Path) -> None:
    data = open_data(DataSettings(name=str(real_data / "cifar10-jpeg"), fraction=0.1))
    views = data.views
    assert views == Views(4, "zeros", True, 0)
    seen = []
    for seed in (0, 1):
        pairs = [
            (batch.index, views(batch.images, batch.index, 2)) for batch in TrainLoader(data.train, 512, seed).epoch(2)
        ]
        index, images = (torch.cat(parts) for parts in zip(*pairs))
        seen.append(dict(zip(index.tolist(), images)))
    shared = sorted(seen[0].keys() & seen[1].keys())[:2000]
    assert list(seen[0])[:100] != list(seen[1])[:100]
    assert len(shared) == 2000 and all(torch.equal(seen[0][index], seen[1][index]) for index in shared)


def test_reflected_padding_larger_than_the_image_is_an_error() -> None:
    with pytest.raises(ValueError, match="padding_mode=reflect with padding=10"):
        Views(10, "reflect")(IMAGES, INDEX, 0)


@pytest.mark.gpu
@pytest.mark.parametrize("views", POLICIES, ids=str)
def test_cuda_gives_the_same_views(views: Views) -> None:
    assert torch.equal(views(IMAGES.cuda(), INDEX.cuda(), 3).cpu(), views(IMAGES, INDEX, 3))
