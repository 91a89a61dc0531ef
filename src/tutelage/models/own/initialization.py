"""The starting values that most convolutional networks of this package share."""

from __future__ import annotations

from torch import nn


def initialize(model: nn.Module, head_std: float | None = None) -> None:
    """Draws every convolution's weights from N(0, 2/(k² C_out)) (He et al. 2015, fan out) and clears its biases.

    Linear layers keep PyTorch's start, or, given ``head_std``, get N(0, head_std²) and a bias of 0. Batch
    normalisation keeps weight 1, bias 0.
    """
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Linear) and head_std is not None:
            nn.init.normal_(module.weight, 0.0, head_std)
            nn.init.zeros_(module.bias)
