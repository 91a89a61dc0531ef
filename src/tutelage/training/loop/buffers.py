"""Restore buffers, such as running statistics, after a step that is not finite."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class BufferBackup:
    """A copy of the buffers of networks from before the first failed step, kept without waiting for the device.

    A forward pass updates running statistics even if its loss is not finite. One flat copy per dtype costs a few
    kernels per step, regardless of the number of layers.
    """

    def __init__(self, *networks: nn.Module) -> None:
        self._groups: dict[torch.dtype, list[Tensor]] = {}
        self._saved: dict[torch.dtype, Tensor] = {}
        for buffer in (buffer for network in networks for buffer in network.buffers()):
            self._groups.setdefault(buffer.dtype, []).append(buffer)

    @torch.no_grad()
    def save(self, stopped: Tensor) -> None:
        """Copy the buffers before a step, unless the scalar ``stopped`` is 1.0 because a step was not finite."""
        for dtype, buffers in self._groups.items():
            now = torch.cat([buffer.flatten() for buffer in buffers])
            self._saved[dtype] = torch.where(stopped > 0, self._saved.get(dtype, now), now)

    @torch.no_grad()
    def restore(self) -> None:
        """Restore the buffers from the copy."""
        for dtype, saved in self._saved.items():
            buffers = self._groups[dtype]
            for buffer, values in zip(buffers, saved.split([buffer.numel() for buffer in buffers])):
                buffer.copy_(values.view_as(buffer))
