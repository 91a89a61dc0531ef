"""Weight initialization of most convolutional networks of tutelage."""

from __future__ import annotations

from torch import nn


def initialize(model: nn.Module, head_std: float | None = None) -> None:
    """Initialize all convolutions from N(0, 2/(k² C_out)) (He et al. 2015, fan out) with bias 0.

    Linear layers keep PyTorch's default or, if ``head_std`` is set, get N(0, head_std²) and bias 0. Batch
    normalization keeps weight 1, bias 0.
    """
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Linear) and head_std is not None:
            nn.init.normal_(module.weight, 0.0, head_std)
            nn.init.zeros_(module.bias)
