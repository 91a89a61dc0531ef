"""Random numbers without a state: a counter-based hash of (seed, epoch, sample, stream), the same on every device."""

from __future__ import annotations

from enum import IntEnum

import torch
from torch import Tensor

# splitmix64 (Steele, Lea, Flood 2014): increment and multipliers, as signed 64-bit integers.
_INCREMENT = 0x9E3779B97F4A7C15 - 2**64
_MULTIPLIERS = (0xBF58476D1CE4E5B9 - 2**64, 0x94D049BB133111EB - 2**64)


class Stream(IntEnum):
    """What a number is for: numbers of different streams are independent. Values are part of every stored view."""

    ORDER = 0
    SPLIT = 1
    FLIP = 2  # and the two that follow are drawn together
    ROW = 3
    COLUMN = 4
    MIX = 5  # and the four that follow are drawn together, for pairs of places in an epoch
    MIX_KIND = 6
    MIX_QUANTILE = 7
    MIX_ROW = 8
    MIX_COLUMN = 9
    SHARD = 10
    RESIZED_CROP = 64
    """The first of the 40 streams that a random resized crop draws from."""
    RANDAUGMENT = 128
    """The first of as many streams as RandAugment has operations."""


def bits(seed: int, epoch: int, index: Tensor, stream: int | Tensor) -> Tensor:
    """Returns 64 random bits (int64) for each sample: a pure function of its arguments.

    ``index`` (int64) and ``stream`` broadcast. For a fixed seed, epoch and stream the map from index to bits is one to
    one. Each argument in turn is absorbed by h ← splitmix64(h xor argument).
    """
    state = torch.zeros((), dtype=torch.int64)
    for word in (seed, epoch, stream, index):
        state = _splitmix64(torch.bitwise_xor(word if isinstance(word, Tensor) else torch.tensor(word), state))
    return state


def uniform(seed: int, epoch: int, index: Tensor, stream: int | Tensor) -> Tensor:
    """Returns float32 numbers in [0, 1), multiples of 2⁻²⁴, from the upper bits of :func:`bits`."""
    return _shift_right(bits(seed, epoch, index, stream), 40).float() * 2.0**-24


def _splitmix64(state: Tensor) -> Tensor:
    state = state + _INCREMENT
    state = (state ^ _shift_right(state, 30)) * _MULTIPLIERS[0]
    state = (state ^ _shift_right(state, 27)) * _MULTIPLIERS[1]
    return state ^ _shift_right(state, 31)


def _shift_right(state: Tensor, count: int) -> Tensor:
    # int64's own shift drags the sign along.
    return (state >> count) & ((1 << (64 - count)) - 1)
