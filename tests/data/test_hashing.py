from __future__ import annotations

import pytest
import torch

from tutelage.data import uniform
from tutelage.data.hashing import Stream, bits

MASK = 2**64 - 1


def splitmix64(state: int) -> int:
    """As published, in unsigned 64-bit arithmetic."""
    state = (state + 0x9E3779B97F4A7C15) & MASK
    state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & MASK
    return state ^ (state >> 31)


@pytest.mark.parametrize("seed, epoch, index, stream", [(0, 0, 0, 0), (1, 2, 3, 4), (2**40, 299, 1_281_166, 103)])
def test_bits_are_those_of_plain_integer_arithmetic(seed: int, epoch: int, index: int, stream: int) -> None:
    expected = 0
    for word in (seed, epoch, stream, index):
        expected = splitmix64(word ^ expected)
    assert bits(seed, epoch, torch.tensor([index]), stream).item() & MASK == expected
    assert uniform(seed, epoch, torch.tensor([index]), stream).item() == (expected >> 40) / 2**24


def test_golden_values() -> None:
    """Stored views and splits depend on these numbers: they may never change."""
    drawn = uniform(7, 3, torch.tensor([0, 1, 49_999]), Stream.FLIP)
    assert (drawn.double() * 2**24).long().tolist() == GOLDEN


GOLDEN = [8557750, 10846238, 14298119]


def test_numbers_are_uniform_and_streams_seeds_and_epochs_independent() -> None:
    index = torch.arange(50_000)
    draws = [uniform(*key) for key in [(0, 0, index, 2), (0, 0, index, 3), (0, 1, index, 2), (1, 0, index, 2)]]
    for draw in draws:
        assert draw.dtype == torch.float32 and draw.min() >= 0 and draw.max() < 1
        counts = torch.histc(draw, bins=100, min=0, max=1)
        chi_squared = ((counts - 500) ** 2 / 500).sum().item()
        assert 50 < chi_squared < 160  # 99 degrees of freedom
    correlation = torch.corrcoef(torch.stack(draws)) - torch.eye(4)
    assert correlation.abs().max() < 0.02
    neighbours = torch.corrcoef(torch.stack([draws[0][:-1], draws[0][1:]]))[0, 1]
    assert neighbours.abs() < 0.02


def test_bits_are_one_to_one() -> None:
    assert len(bits(5, 6, torch.arange(100_000), 0).unique()) == 100_000


def test_a_number_depends_on_nothing_but_its_arguments() -> None:
    index = torch.randperm(1000)
    assert torch.equal(uniform(3, 4, index, 5), uniform(3, 4, torch.arange(1000), 5)[index])
    streams = torch.arange(3).unsqueeze(1)
    assert torch.equal(uniform(3, 4, index, streams)[2], uniform(3, 4, index, 2))


@pytest.mark.gpu
def test_cuda_gives_the_same_bits() -> None:
    index = torch.arange(4096)
    assert torch.equal(bits(9, 8, index.cuda(), 7).cpu(), bits(9, 8, index, 7))
