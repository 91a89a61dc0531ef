"""Parameters and multiply-accumulates of a model."""

from __future__ import annotations

import copy

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode


def parameter_count(model: nn.Module) -> int:
    """Return the number of parameters, trainable or not.

    Buffers are not counted. Shared parameters count once.

    Example:
        >>> from tutelage.models import create_model, parameter_count
        >>> parameter_count(create_model("resnet8"))
        78042
    """
    return sum(parameter.numel() for parameter in model.parameters())


def count_macs(model: nn.Module, input_size: tuple[int, int]) -> int:
    """Return the multiply-accumulates of a forward pass for one image in eval mode.

    Convolutions, matrix products and attention are counted; normalization, activations and pooling are not. The count
    uses a copy on the meta device, so nothing is computed and the model does not change.

    Args:
        model: A network for images (1, 3, H, W).
        input_size: Image size (H, W) in pixels.

    Example:
        >>> from tutelage.models import count_macs, create_model
        >>> count_macs(create_model("resnet8"), (32, 32))
        12501632
    """
    shadow = copy.deepcopy(model).to("meta").eval()
    dtype = next(model.parameters()).dtype
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        shadow(torch.empty(1, 3, *input_size, dtype=dtype, device="meta"))
    return counter.get_total_flops() // 2


def shown_count(number: float) -> str:
    """Return a number with three significant digits and the unit k, M or G.

    Example:
        >>> from tutelage.models import shown_count
        >>> shown_count(1_234_567)
        '1.23 M'
    """
    rounded = float(f"{number:.3g}")
    for unit, name in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if rounded >= unit:
            return f"{rounded / unit:g} {name}"
    return f"{rounded:g}"
