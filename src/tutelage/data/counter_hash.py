"""Random numbers as a pure function of their place: the same on every device, in any order, on any number of processes."""

from __future__ import annotations

import torch
from torch import Tensor

_MASK = 2**64 - 1


def _signed(value: int) -> int:
    """Returns the int64 with the same 64 bits."""
    value &= _MASK
    return value - 2**64 if value >= 2**63 else value


_WEYL = _signed(0x9E3779B97F4A7C15)
_FIRST = _signed(0xBF58476D1CE4E5B9)
_SECOND = _signed(0x94D049BB133111EB)


def _shifted(bits: Tensor, count: int) -> Tensor:
    """Shifts right filling with zeros; int64's own shift would repeat the sign."""
    return (bits >> count) & ((1 << (64 - count)) - 1)


def _mixed(bits: Tensor) -> Tensor:
    """The finaliser of splitmix64 (Steele, Lea, Flood, 2014): a bijection of 64 bits; products wrap around."""
    bits = (bits ^ _shifted(bits, 30)) * _FIRST
    bits = (bits ^ _shifted(bits, 27)) * _SECOND
    return bits ^ _shifted(bits, 31)


def uniform(seed: int, epoch: int, index: Tensor, stream: int) -> Tensor:
    """Returns a number in [0, 1) for each sample of ``index`` (any shape, int64), as float64 with 53 random bits.

    A pure function of (seed, epoch, index, stream), computed on the device of ``index``; ``stream`` tells apart the
    several numbers that one view needs.
    """
    bits = torch.full_like(index, _signed(seed * 0xD1342543DE82EF95 + 1))
    for part in (epoch, stream):
        bits = _mixed(bits + _signed((part + 1) * 0x9E3779B97F4A7C15))
    bits = _mixed(_mixed(bits + _WEYL) ^ (index * _WEYL + _FIRST))
    return _shifted(bits, 11).to(torch.float64) * 2.0**-53
