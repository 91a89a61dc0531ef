from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tutelage.data import Batch, DataSettings, EvalLoader, ImageData, Split, TrainLoader, open_data
from tutelage.errors import TutelageError


@pytest.fixture(scope="module")
def digits() -> ImageData:
    return open_data(DataSettings(name="digits"))


def order(loader: TrainLoader, epoch: int) -> Tensor:
    return torch.cat([batch.index for batch in loader.epoch(epoch)])


def test_batches_are_what_their_index_says(digits: ImageData) -> None:
    loader = TrainLoader(digits.train, 100, seed=0)
    batches = list(loader.epoch(0))
    assert len(batches) == len(loader) == len(digits.train) // 100
    images = torch.from_numpy(digits.train.samples.images)  # type: ignore[attr-defined]
    labels = torch.from_numpy(digits.train.samples.labels)
    for batch in batches:
        assert isinstance(batch, Batch) and batch.images.shape == (100, 3, 16, 16) and batch.images.dtype == torch.uint8
        assert batch.labels.dtype == batch.index.dtype == torch.int64
        assert torch.equal(batch.images, images[batch.index]) and torch.equal(batch.labels, labels[batch.index])


def test_order_depends_on_seed_and_epoch_only(digits: ImageData) -> None:
    loader = TrainLoader(digits.train, 64, seed=3)
    later = order(loader, 5)
    assert len(later.unique()) == len(later) and set(later.tolist()) <= set(digits.train.rows.tolist())
    order(loader, 0)
    torch.manual_seed(99)
    assert torch.equal(order(TrainLoader(digits.train, 64, seed=3), 5), later)
    assert not torch.equal(order(loader, 4), later)
    assert not torch.equal(order(TrainLoader(digits.train, 64, seed=4), 5), later)
    moved = later.argsort().float() - torch.arange(len(later))
    assert moved.abs().mean() > len(later) / 5  # a third of the length for a random permutation


@pytest.mark.parametrize("world", [2, 4])
def test_processes_together_see_the_global_batches(digits: ImageData, world: int) -> None:
    alone = list(TrainLoader(digits.train, 64, seed=0).epoch(1))
    shares = [list(TrainLoader(digits.train, 64, 0, rank, world).epoch(1)) for rank in range(world)]
    for step, batch in enumerate(alone):
        parts = [share[step] for share in shares]
        assert all(len(part.labels) == 64 // world for part in parts)
        assert torch.equal(torch.cat([part.index for part in parts]), batch.index)
        assert torch.equal(torch.cat([part.images for part in parts]), batch.images)


def test_a_split_smaller_than_a_batch_is_one_batch(digits: ImageData) -> None:
    small = Split(digits.train.samples, digits.train.rows[:21])
    loader = TrainLoader(small, 128, seed=0)
    assert len(loader) == 1 and sorted(order(loader, 0).tolist()) == small.rows.tolist()
    shares = [order(TrainLoader(small, 128, 0, rank, 2), 0) for rank in range(2)]
    assert [len(share) for share in shares] == [10, 10] and len(torch.cat(shares).unique()) == 20


def test_batches_that_cannot_be_shared_are_errors(digits: ImageData) -> None:
    with pytest.raises(TutelageError, match="batch_size=100 is not divisible by the 8 processes"):
        TrainLoader(digits.train, 100, 0, rank=0, world=8)
    with pytest.raises(TutelageError, match="3 training images are too few for 4 processes"):
        TrainLoader(Split(digits.train.samples, digits.train.rows[:3]), 8, 0, rank=0, world=4)


@pytest.mark.parametrize("world", [1, 2, 3])
def test_evaluation_sees_every_sample_once(digits: ImageData, world: int) -> None:
    assert digits.test is not None
    seen = []
    for rank in range(world):
        loader = EvalLoader(digits.test, 50, rank, world)
        batches = list(loader)
        assert len(batches) == len(loader) and all(len(batch.index) <= 50 // world for batch in batches)
        seen += [batch.index for batch in batches]
    assert sorted(torch.cat(seen).tolist()) == digits.test.rows.tolist()
    if world == 1:
        assert torch.cat(seen).tolist() == digits.test.rows.tolist()
