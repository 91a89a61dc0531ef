"""Batches of all processes as one, for losses that relate samples to each other."""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor


def gathered(value: Tensor) -> Tensor:
    """Return the values of all processes, joined along the batch, in the order of the processes.

    Gradients flow back to the process that a value came from. Without several processes, ``value`` is returned.

    Args:
        value: (B, …), with the same B in all processes.

    Example:
        >>> gathered(torch.ones(2, 3)).shape
        torch.Size([2, 3])
    """
    if not (dist.is_available() and dist.is_initialized()) or dist.get_world_size() == 1:
        return value
    if value.requires_grad:
        from torch.distributed.nn.functional import all_gather

        return torch.cat(all_gather(value.contiguous()))
    parts = [torch.empty_like(value) for _ in range(dist.get_world_size())]
    dist.all_gather(parts, value.contiguous())
    return torch.cat(parts)
