"""Stateless random numbers: a counter-based hash of (seed, epoch, sample, stream), equal on every device."""

from __future__ import annotations

from enum import IntEnum

import torch
from torch import Tensor

# Increment and multipliers of splitmix64 (Steele, Lea, Flood 2014), as signed 64-bit integers.
_INCREMENT = 0x9E3779B97F4A7C15 - 2**64
_MULTIPLIERS = (0xBF58476D1CE4E5B9 - 2**64, 0x94D049BB133111EB - 2**64)


class Stream(IntEnum):
    """Purpose of a random number. Numbers of different streams are independent.

    Changing a value changes the views that recorded runs are based on.
    """

    ORDER = 0
    SPLIT = 1
    FLIP = 2  # drawn together with ROW and COLUMN
    ROW = 3
    COLUMN = 4
    MIX = 5  # drawn together with the next four, for each pair of samples in an epoch
    MIX_KIND = 6
    MIX_QUANTILE = 7
    MIX_ROW = 8
    MIX_COLUMN = 9
    SHARD = 10
    RESIZED_CROP = 64
    """First of the 40 streams for random resized crops."""
    RANDAUGMENT = 128
    """First stream for RandAugment, which uses one per operation."""


def bits(seed: int | Tensor, epoch: int | Tensor, index: Tensor, stream: int | Tensor) -> Tensor:
    """Return 64 random bits (int64) per sample, as a pure function of the arguments.

    For a fixed seed, epoch and stream, different indices get different bits. The arguments are combined by
    h ← splitmix64(h xor argument), one after the other.

    Args:
        seed: Seed of the run or the views.
        epoch: Number of the epoch, or of another part of a run.
        index: Numbers of the samples, int64.
        stream: One or several values of ``Stream``; tensors broadcast with ``index``.
    """
    state = torch.zeros((), dtype=torch.int64)
    for word in (seed, epoch, stream, index):
        state = _splitmix64(torch.bitwise_xor(word if isinstance(word, Tensor) else torch.tensor(word), state))
    return state


def uniform(seed: int, epoch: int, index: Tensor, stream: int | Tensor) -> Tensor:
    """Return float32 numbers in [0, 1), multiples of 2⁻²⁴, from the upper bits of ``bits``."""
    return _shift_right(bits(seed, epoch, index, stream), 40).float() * 2.0**-24


def _splitmix64(state: Tensor) -> Tensor:
    state = state + _INCREMENT
    state = (state ^ _shift_right(state, 30)) * _MULTIPLIERS[0]
    state = (state ^ _shift_right(state, 27)) * _MULTIPLIERS[1]
    return state ^ _shift_right(state, 31)


def _shift_right(state: Tensor, count: int) -> Tensor:
    # The right shift of int64 extends the sign, which the mask removes.
    return (state >> count) & ((1 << (64 - count)) - 1)
