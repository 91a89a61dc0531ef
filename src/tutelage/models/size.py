"""How large a model is, and what a forward pass costs."""

from __future__ import annotations

import copy

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode


def parameter_count(model: nn.Module) -> int:
    """Returns the number of parameters, trainable or not; buffers do not count, shared parameters count once."""
    return sum(parameter.numel() for parameter in model.parameters())


def count_macs(model: nn.Module, input_size: tuple[int, int]) -> int:
    """Returns the multiply-accumulates of one image's forward pass in eval mode.

    Convolutions, matrix products and attention are counted; normalisation, activations and pooling are not. Nothing
    is computed, and the model stays as it is: a copy on the meta device is counted.

    Args:
        model: takes (1, 3, H, W).
        input_size: (H, W) in pixels.
    """
    shadow = copy.deepcopy(model).to("meta").eval()
    dtype = next(model.parameters()).dtype
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        shadow(torch.empty(1, 3, *input_size, dtype=dtype, device="meta"))
    return counter.get_total_flops() // 2


def shown_count(number: int) -> str:
    """Returns a count as people read it: 1.23 M."""
    for unit, name in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= unit:
            return f"{number / unit:.2f} {name}"
    return str(number)
