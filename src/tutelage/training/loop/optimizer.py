"""Build the optimizer of a stage."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch.nn import Parameter

from tutelage.terms import Optimizer


def build_optimizer(parameters: Iterable[Parameter], settings: Optimizer) -> torch.optim.Optimizer:
    """Return a fused SGD or AdamW over the ``parameters`` that require gradients.

    Weight decay skips biases and the weights of normalizations (all parameters of one dimension) unless
    ``decay_norms`` is set. Fused optimizers skip the update on the device if their attribute ``found_inf`` is 1.0, so
    that the host does not wait for the device.
    """
    groups = _groups([parameter for parameter in parameters if parameter.requires_grad], settings)
    if settings.name == "sgd":
        return torch.optim.SGD(
            groups,
            lr=settings.lr,
            momentum=settings.momentum,
            nesterov=settings.nesterov and settings.momentum > 0,
            fused=True,
        )
    return torch.optim.AdamW(groups, lr=settings.lr, betas=settings.betas, fused=True)


def _groups(trained: list[Parameter], settings: Optimizer) -> list[dict[str, object]]:
    decayed = [parameter for parameter in trained if settings.decay_norms or parameter.ndim > 1]
    kept = [parameter for parameter in trained if not settings.decay_norms and parameter.ndim <= 1]
    groups: list[dict[str, object]] = [
        {"params": decayed, "weight_decay": settings.weight_decay},
        {"params": kept, "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]
