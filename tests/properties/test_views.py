"""Views are pure functions of (view seed, epoch, sample), and uniform."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare
from torch import Tensor

from tutelage.data import Views
from tutelage.data.hashing import Stream, uniform
from tutelage.data.stored.crops import draw_boxes, random_box
from tutelage.data.views.randaugment import RandAugment

IMAGES = torch.randint(0, 256, (24, 3, 10, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
SEEDS = st.integers(0, 2**63 - 1)
EPOCHS = st.integers(0, 10_000)
INDICES = st.lists(st.integers(0, 2**40), min_size=24, max_size=24, unique=True).map(torch.tensor)
LEVEL = 1e-4
"""Of significance: seeds are fixed, so that a figure below it is no accident that comes back."""


@settings(max_examples=60, derandomize=True, deadline=None)
@given(st.data(), SEEDS, EPOCHS, INDICES, st.integers(0, 4), st.sampled_from(["zeros", "reflect"]), st.booleans())
def test_a_view_does_not_depend_on_how_samples_are_shared_out(
    data: st.DataObject, seed: int, epoch: int, index: Tensor, padding: int, mode: str, flip: bool
) -> None:
    augment = RandAugment(2, 9, seed) if data.draw(st.booleans()) else None
    views = Views(padding, mode, flip, seed, augment)  # type: ignore[arg-type]
    whole = views(IMAGES, index, epoch)
    assert whole.shape == IMAGES.shape and whole.dtype == torch.uint8
    order = torch.tensor(data.draw(st.permutations(range(24))))
    world = data.draw(st.sampled_from([1, 2, 3, 4, 6, 24]))
    for rank in range(world):
        own = order[rank::world]
        assert torch.equal(views(IMAGES[own], index[own], epoch), whole[own])
    assert torch.equal(views(IMAGES, index, epoch), whole)


@settings(max_examples=20, derandomize=True, deadline=None)
@given(SEEDS, EPOCHS, st.integers(1, 4))
def test_a_view_holds_nothing_but_the_image_and_its_padding(seed: int, epoch: int, padding: int) -> None:
    """Every row and column that is not padding is one of the image's, in order or mirrored."""
    places = torch.arange(1, 81, dtype=torch.uint8).view(1, 1, 10, 8).expand(24, 3, 10, 8)
    seen = Views(padding, "zeros", True, seed)(places, torch.arange(24), epoch)
    for view in seen[:, 0].long():
        kept = view[view > 0].view(-1, int((view > 0).any(0).sum()))
        steps = kept.diff(dim=1).abs()
        assert (steps == 1).all() and (kept.diff(dim=0) == 8).all()
        assert kept.shape[0] >= 10 - padding and kept.shape[1] >= 8 - padding


def offsets(seed: int, epoch: int, count: int, padding: int = 2) -> Tensor:
    """Row, column and mirroring of each sample's crop, read from the pixels."""
    side = 9
    places = torch.arange(side * side).view(1, 1, side, side).expand(count, 3, side, side).to(torch.uint8)
    views = Views(padding, "zeros", True, seed)(places, torch.arange(count), epoch)[:, 0].long()
    middle, beside = views[:, side // 2, side // 2], views[:, side // 2, side // 2 + 1]
    return torch.stack([middle // side - side // 2, middle % side - side // 2, (beside < middle).long()])


def test_all_crops_are_equally_likely_and_rows_columns_and_mirroring_independent() -> None:
    row, column, mirrored = offsets(seed=7, epoch=3, count=50_000)
    cells = torch.bincount(((row + 2) * 5 + column + 2) * 2 + mirrored, minlength=50)
    assert cells.sum() == 50_000 and len(cells) == 50
    assert chisquare(cells.numpy()).pvalue > LEVEL


def test_over_epochs_every_image_is_seen_at_every_place() -> None:
    seen = torch.stack([offsets(seed=1, epoch=epoch, count=40) for epoch in range(500)])
    cells = (seen[:, 0] + 2) * 5 + seen[:, 1] + 2
    rejected = 0
    for image in range(40):
        counts = torch.bincount(cells[:, image], minlength=25)
        assert counts.min() > 0
        rejected += chisquare(counts.numpy()).pvalue < 0.01
    assert rejected <= 3, "of 40 tests at one percent"


def test_views_of_neighbouring_seeds_epochs_and_samples_are_independent() -> None:
    count = 20_000
    index = torch.arange(count)
    base = (uniform(3, 5, index, Stream.FLIP) * 8).long()
    others = {
        "seed": uniform(4, 5, index, Stream.FLIP),
        "epoch": uniform(3, 6, index, Stream.FLIP),
        "sample": uniform(3, 5, index + 1, Stream.FLIP),
        "purpose": uniform(3, 5, index, Stream.ROW),
    }
    for name, other in others.items():
        pairs = torch.bincount(base * 8 + (other * 8).long(), minlength=64)
        assert chisquare(pairs.numpy()).pvalue > LEVEL, name


@settings(max_examples=100, derandomize=True, deadline=None)
@given(SEEDS, EPOCHS, st.integers(1, 3000), st.integers(1, 3000), st.floats(0.01, 1), st.floats(0.01, 1))
def test_a_random_box_lies_in_its_image(
    seed: int, epoch: int, height: int, width: int, one: float, other: float
) -> None:
    scale = min(one, other), max(one, other)
    for draws in draw_boxes(seed, epoch, torch.arange(5)):
        top, left, box_height, box_width = random_box(height, width, scale, draws)
        assert 0 <= top <= height - box_height and 0 <= left <= width - box_width
        assert box_height > 0 and box_width > 0


def test_places_of_random_boxes_are_uniform() -> None:
    boxes = [random_box(400, 400, (0.25, 0.25), draws) for draws in draw_boxes(0, 0, torch.arange(20_000))]
    for place, side in ((0, 2), (1, 3)):
        shares = np.array([box[place] / (400 - box[side] + 1) for box in boxes])
        counts = np.bincount((shares * 10).astype(int), minlength=10)
        assert chisquare(counts).pvalue > LEVEL
