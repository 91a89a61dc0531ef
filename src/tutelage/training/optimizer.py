"""Builds the optimiser of a stage."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch.nn import Parameter

from tutelage.terms import OptimizerSettings


def build_optimizer(parameters: Iterable[Parameter], settings: OptimizerSettings) -> torch.optim.Optimizer:
    """Returns a fused SGD or AdamW over the ``parameters`` that require gradients.

    Fused, because its one kernel also skips the update where ``found_inf`` is set on the optimiser, without the host
    waiting for the device.
    """
    trained = [parameter for parameter in parameters if parameter.requires_grad]
    if settings.name == "sgd":
        return torch.optim.SGD(
            trained,
            lr=settings.lr,
            momentum=settings.momentum,
            nesterov=settings.nesterov and settings.momentum > 0,
            weight_decay=settings.weight_decay,
            fused=True,
        )
    return torch.optim.AdamW(
        trained, lr=settings.lr, betas=settings.betas, weight_decay=settings.weight_decay, fused=True
    )
