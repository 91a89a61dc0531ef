"""Measure peak memory."""

from __future__ import annotations

import ctypes
from pathlib import Path

import torch

_STATUS, _RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def reset_peak(device: torch.device) -> int:
    """Start a new measurement and return the number of bytes in use now."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    elif _RESET.exists():
        # On Linux, return freed memory to the system, and reset the peak to the memory that is resident now.
        ctypes.CDLL(None).malloc_trim(0)
        _RESET.write_text("5")
    return peak_bytes(device) or 0


def peak_bytes(device: torch.device) -> int | None:
    """Return the peak in bytes since :func:`reset_peak`, or None if the system does not report it.

    On a GPU, it is the peak of allocated memory; on a CPU, the peak of this process's resident memory.
    """
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    if not _RESET.exists():
        return None
    line = next(line for line in _STATUS.read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024
