"""Every sample exactly once, in equal shares, in the same global batches, whatever the number of processes."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare
from torch import Tensor

from tutelage.data import EvalLoader, Split, TrainLoader
from tutelage.data.source import Pixels
from tutelage.data.stored.samples import PackedSamples

PIXELS = np.arange(3 * 300, dtype=np.int64).astype(np.uint8).reshape(300, 3, 1, 1)
SAMPLES = PackedSamples(Pixels(PIXELS, np.arange(300) % 7))
ROWS = st.sets(st.integers(0, 299), min_size=1, max_size=300).map(lambda rows: np.array(sorted(rows), dtype=np.int64))
MANY_ROWS = st.integers(48, 300).map(lambda count: np.arange(0, count, dtype=np.int64))
SEEDS = st.integers(0, 2**63 - 1)
WORLDS = st.integers(1, 9)


def train(rows: np.ndarray, batch: int, seed: int, epoch: int, world: int, first: int = 0) -> list[list[Tensor]]:
    """For each process, the index of each of its batches."""
    split = Split(SAMPLES, rows)
    loaders = [TrainLoader(split, batch, seed, rank, world) for rank in range(world)]
    return [[one.index for one in loader.epoch(epoch, first=first)] for loader in loaders]


@settings(max_examples=120, derandomize=True, deadline=None)
@given(ROWS, st.integers(1, 40), SEEDS, st.integers(0, 1000), WORLDS)
def test_training(rows: np.ndarray, share: int, seed: int, epoch: int, world: int) -> None:
    assume(len(rows) >= world)
    batch = share * world
    seen = train(rows, batch, seed, epoch, world)
    steps = len(rows) // batch if len(rows) >= batch else 1
    assert [len(batches) for batches in seen] == [steps] * world
    sizes = {len(index) for batches in seen for index in batches}
    assert len(sizes) == 1 and sizes.pop() * world == min(batch, len(rows) - len(rows) % world)
    index = torch.cat([torch.cat(batches) for batches in seen])
    assert len(index.unique()) == len(index) and set(index.tolist()) <= set(rows.tolist())
    assert len(rows) - len(index) < max(batch, world), "no more than the last, incomplete batch is left out"


@settings(max_examples=80, derandomize=True, deadline=None)
@given(st.data(), MANY_ROWS, SEEDS, st.integers(0, 1000))
def test_global_batches_are_the_same_for_any_number_of_processes(
    data: st.DataObject, rows: np.ndarray, seed: int, epoch: int
) -> None:
    world, other = data.draw(st.sampled_from([(1, 2), (2, 4), (3, 6), (1, 12), (4, 6)]))
    batch = 12 * data.draw(st.integers(1, 4))
    one, two = train(rows, batch, seed, epoch, world), train(rows, batch, seed, epoch, other)
    for parts, others in zip(zip(*one), zip(*two)):
        assert torch.equal(torch.cat(parts), torch.cat(others))
    first = data.draw(st.integers(0, len(one[0])))
    rest = train(rows, batch, seed, epoch, world, first)
    for whole, begun in zip(one, rest):
        assert all(torch.equal(a, b) for a, b in zip(whole[first:], begun)) and len(begun) == len(whole) - first


@settings(max_examples=120, derandomize=True, deadline=None)
@given(ROWS, st.integers(1, 400), WORLDS)
def test_evaluation(rows: np.ndarray, batch: int, world: int) -> None:
    loaders = [EvalLoader(Split(SAMPLES, rows), batch, rank, world) for rank in range(world)]
    seen = [[one.index for one in loader] for loader in loaders]
    assert [len(batches) for batches in seen] == [len(loader) for loader in loaders]
    counts = [sum(map(len, batches)) for batches in seen]
    assert sum(counts) == len(rows) and max(counts) - min(counts) <= 1
    assert sorted(int(index) for batches in seen for part in batches for index in part) == rows.tolist()
    assert all(len(part) <= max(1, batch // world) for batches in seen for part in batches)


@settings(max_examples=60, derandomize=True, deadline=None)
@given(ROWS, SEEDS, st.integers(0, 1000))
def test_what_is_in_a_batch_is_what_its_index_says(rows: np.ndarray, seed: int, epoch: int) -> None:
    for batch in TrainLoader(Split(SAMPLES, rows), 16, seed).epoch(epoch):
        assert torch.equal(batch.images, torch.from_numpy(PIXELS[batch.index.numpy()]))
        assert torch.equal(batch.labels, torch.from_numpy(SAMPLES.labels[batch.index.numpy()]))


def test_every_sample_is_equally_likely_at_every_place_of_the_order() -> None:
    rows = np.arange(20, dtype=np.int64)
    orders = torch.stack([train(rows, 20, 11, epoch, 1)[0][0] for epoch in range(2000)])
    for place in range(20):
        counts = torch.bincount(orders[:, place], minlength=20)
        assert chisquare(counts.numpy()).pvalue > 1e-5
