"""How torch.compile is asked to compile."""

from __future__ import annotations

import torch


def compile_options(device: torch.device) -> dict[str, bool]:
    """Returns options for ``torch.compile``: on CUDA its kernels are launched together, as CUDA graphs."""
    return {"triton.cudagraphs": True} if device.type == "cuda" else {}
