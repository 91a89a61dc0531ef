from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from scipy import stats
from torch import Tensor

from tutelage.data import DataSettings, Mixing, TrainLoader, open_data

CLASSES = 5
DRAW = torch.Generator().manual_seed(0)
IMAGES = torch.randint(0, 256, (40, 3, 12, 10), dtype=torch.uint8, generator=DRAW)
LABELS = torch.randint(-1, CLASSES, (40,), generator=DRAW)
POLICIES = [
    Mixing(CLASSES, mixup=1.0, view_seed=5),
    Mixing(CLASSES, cutmix=1.0, view_seed=5),
    Mixing(CLASSES, mixup=2.0, cutmix=1.0, probability=0.7, view_seed=5),
]


def own_shares(soft: Tensor, labels: Tensor) -> Tensor:
    """λ of each image, where it and its partner are labelled and differ."""
    rows = torch.arange(len(labels))
    known = (labels >= 0) & (labels[rows ^ 1] >= 0) & (labels != labels[rows ^ 1])
    return soft[rows[known], labels[known]]


@pytest.mark.parametrize("mixing", POLICIES, ids=str)
def test_each_image_is_mixed_with_its_neighbour_one_way_or_the_other(mixing: Mixing) -> None:
    mixtures, soft = mixing(IMAGES, LABELS, 80, 3)
    assert mixtures.dtype == torch.uint8 and soft.dtype == torch.float32
    untouched = blended = pasted = 0
    for place in range(40):
        own, other, mixture = IMAGES[place].double(), IMAGES[place ^ 1].double(), mixtures[place].double()
        changed = (mixture != own).any(0)
        rows, columns = changed.any(1).nonzero().flatten(), changed.any(0).nonzero().flatten()
        if not changed.any():
            share, untouched = 1.0, untouched + 1
        elif torch.equal(mixture[:, changed], other[:, changed]):
            area = (rows[-1] - rows[0] + 1) * (columns[-1] - columns[0] + 1)
            assert changed.sum() == area and mixing.cutmix
            share, pasted = 1 - area.item() / 120, pasted + 1
        else:
            share = (((mixture - other) * (own - other)).sum() / (own - other).square().sum()).item()
            assert (mixture - share * own - (1 - share) * other).abs().max() < 0.6 and mixing.mixup
            blended += 1
        assert share >= 0.5 - 1e-3
        expected = [
            share * (LABELS[place] == k).item() + (1 - share) * (LABELS[place ^ 1] == k).item() for k in range(CLASSES)
        ]
        assert soft[place].tolist() == pytest.approx(expected, abs=2e-3)
    assert (blended > 5) == (mixing.mixup > 0) and (pasted > 5) == (mixing.cutmix > 0)
    assert untouched < (40 if mixing.probability < 1 else 8)


def test_mixup_rounds_to_the_nearest() -> None:
    mixtures, soft = Mixing(2, mixup=1.0)(IMAGES, torch.tensor([0, 1]).repeat(20), 0, 0)
    for place in range(40):
        share = soft[place, place % 2].item()
        exact = share * IMAGES[place].double() + (1 - share) * IMAGES[place ^ 1].double()
        assert torch.equal(mixtures[place].double(), (exact + 0.5).floor())


def test_own_share_is_the_greater_side_of_a_beta_distribution() -> None:
    labels = torch.tensor([0, 1]).repeat(5000)
    for alpha in (0.5, 1.0, 8.0):
        _, soft = Mixing(2, mixup=alpha)(torch.zeros(10_000, 3, 1, 1, dtype=torch.uint8), labels, 0, 0)
        shares = own_shares(soft, labels)[::2].double().numpy()

        def folded(share: float, alpha: float = alpha) -> float:
            return stats.beta.cdf(share, alpha, alpha) - stats.beta.cdf(1 - share, alpha, alpha)

        assert stats.kstest(shares, folded).pvalue > 0.01


def test_boxes_have_their_middle_anywhere_and_are_cut_off_at_the_border() -> None:
    numbers = torch.tensor([0, 1], dtype=torch.uint8).repeat(2000).view(-1, 1, 1, 1)
    mixtures, soft = Mixing(2, cutmix=1.0)(numbers.expand(-1, 3, 32, 32), numbers.flatten().long(), 0, 0)
    boxes = (mixtures != numbers)[::2, 0]
    assert torch.equal(boxes.double().mean((1, 2)).float(), soft[::2, 1])
    covered = boxes.float().mean(0)
    assert covered.min() > 0.04 and covered[16, 16] > 2 * covered[0, 0]
    # Uncut, the mean area would be that of a uniform share given away, from 0 to one half: a quarter.
    assert 0.13 < covered.mean() < 0.24


def test_probability_and_choice() -> None:
    pair = torch.tensor([0, 255], dtype=torch.uint8).view(2, 1, 1, 1).expand(2, 3, 8, 8).repeat(2000, 1, 1, 1)
    mixtures, _ = Mixing(2, mixup=8.0, cutmix=8.0, probability=0.6)(pair, torch.zeros(4000).long(), 0, 0)
    blended = ((mixtures != 0) & (mixtures != 255)).flatten(1).any(1)
    pasted = (mixtures != pair).flatten(1).any(1) & ~blended
    assert torch.equal(blended[::2], blended[1::2]) and torch.equal(pasted[::2], pasted[1::2])
    # Each 0.3 of 2000 pairs; a standard deviation is 0.01.
    assert blended.float().mean().item() == pytest.approx(0.3, abs=0.04)
    assert pasted.float().mean().item() == pytest.approx(0.3, abs=0.04)


def test_every_image_counts_for_one_as_before() -> None:
    for mixing in POLICIES:
        _, soft = mixing(IMAGES, LABELS, 0, 1)
        counts = torch.bincount(LABELS[LABELS >= 0], minlength=CLASSES).float()
        torch.testing.assert_close(soft.sum(0), counts)


def test_a_last_image_without_partner_stays_as_it_is() -> None:
    for mixing in POLICIES:
        mixtures, soft = mixing(IMAGES[:7], LABELS[:7].clamp(min=0), 14, 3)
        assert torch.equal(mixtures[6], IMAGES[6])
        assert soft[6].max() == 1
        assert not torch.equal(mixtures[:6], IMAGES[:6])


def test_mixtures_change_with_epoch_place_and_view_seed_alone() -> None:
    before = IMAGES.clone()
    first, labels = POLICIES[2](IMAGES, LABELS, 0, 0)
    again, same = POLICIES[2](IMAGES, LABELS, 0, 0)
    assert torch.equal(first, again) and torch.equal(labels, same) and torch.equal(IMAGES, before)
    for other in (POLICIES[2](IMAGES, LABELS, 0, 1), POLICIES[2](IMAGES, LABELS, 40, 0)):
        assert not torch.equal(first, other[0]) and not torch.equal(labels, other[1])
    reseeded = Mixing(CLASSES, 2.0, 1.0, 0.7, view_seed=6)
    assert not torch.equal(first, reseeded(IMAGES, LABELS, 0, 0)[0])


@pytest.mark.parametrize("world", [2, 4, 8])
def test_processes_with_even_shares_see_the_mixtures_of_one(world: int) -> None:
    data = open_data(DataSettings(name="digits", mixup=1.0, cutmix=1.0, randaugment=2))
    views, mixing = data.views, data.mixing
    assert mixing is not None

    def epoch(rank: int, world: int) -> list[tuple[Tensor, Tensor]]:
        loader = TrainLoader(data.train, 240, 0, rank, world)
        return [
            mixing(views(images, index, 2), labels, 240 * step + 240 // world * rank, 2)
            for step, (images, labels, index) in enumerate(loader.epoch(2))
        ]

    shares = [epoch(rank, world) for rank in range(world)]
    for step, (images, labels) in enumerate(epoch(0, 1)):
        assert torch.equal(torch.cat([share[step][0] for share in shares]), images)
        assert torch.equal(torch.cat([share[step][1] for share in shares]), labels)


def mixing(**settings: Any) -> Mixing | None:
    return open_data(DataSettings(name="digits", **settings)).mixing


def test_policy_comes_from_settings_and_data() -> None:
    assert mixing(randaugment=2) is None
    assert mixing(mixup=1.0, augment=False) is None
    assert mixing(mixup=0.8, cutmix=1.0, mix_probability=0.5, view_seed=3) == Mixing(10, 0.8, 1.0, 0.5, 3)


def test_mixtures_have_the_classes_of_the_data() -> None:
    data = open_data(DataSettings(name="digits", mixup=1.0))
    letters = tuple("abcdefghijkl")
    for other in (data.with_classes(letters), data.with_labels(range(2, 12), letters)):
        assert other.classes == letters and other.mixing == Mixing(12, 1.0)
    assert data.mixing == Mixing(10, 1.0)


def test_golden_values() -> None:
    """A run that is resumed with a newer version must go on with the same mixtures."""
    _, soft = Mixing(2, mixup=1.0, view_seed=7)(IMAGES[:6], torch.tensor([0, 1]).repeat(3), 10, 3)
    assert (soft[::2, 0] * 2**14).long().tolist() == GOLDEN


GOLDEN = [8560, 12212, 16215]


@pytest.mark.gpu
@pytest.mark.parametrize("mixing", POLICIES, ids=str)
def test_cuda_gives_the_same_mixtures(mixing: Mixing) -> None:
    images, labels = mixing(IMAGES.cuda(), LABELS.cuda(), 40, 3)
    expected_images, expected_labels = mixing(IMAGES, LABELS, 40, 3)
    assert torch.equal(images.cpu(), expected_images)
    assert math.isclose((labels.cpu() - expected_labels).abs().max().item(), 0, abs_tol=1e-6)
