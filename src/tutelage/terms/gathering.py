"""Batches of all processes as one, for losses that relate samples to each other."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

_ALONE = ContextVar("alone", default=False)


@contextmanager
def alone() -> Iterator[None]:
    """Do not join batches within the block: this process takes a step that others do not take.

    Example:
        >>> with alone():
        ...     gathered(torch.ones(2)).shape
        torch.Size([2])
    """
    token = _ALONE.set(True)
    try:
        yield
    finally:
        _ALONE.reset(token)


def gathered(value: Tensor) -> Tensor:
    """Return the values of all processes, joined along the batch, in the order of the processes.

    Gradients flow back to the process that a value came from. Without several processes, and within ``alone``,
    ``value`` is returned.

    Args:
        value: (B, …), with the same B in all processes.

    Example:
        >>> gathered(torch.ones(2, 3)).shape
        torch.Size([2, 3])
    """
    if _ALONE.get() or not (dist.is_available() and dist.is_initialized()) or dist.get_world_size() == 1:
        return value
    joined: Tensor = _Gathered.apply(value)
    return joined


class _Gathered(torch.autograd.Function):
    """Not torch.distributed.nn's ``all_gather``, whose backward pass mixes up gradients that are not contiguous."""

    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:
        value = value.contiguous()
        parts = [torch.empty_like(value) for _ in range(dist.get_world_size())]
        dist.all_gather(parts, value)
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        summed = gradient.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(summed)
        return summed.chunk(dist.get_world_size())[dist.get_rank()]
