"""Choose optimization settings that are not set: optimizer, learning rate, decay, schedule, clipping.

The rules follow timm's and torchvision's reference recipes, reduced to what works for any network: a higher rate with
batch normalization, a lower rate for pretrained weights, rates scaled with the batch size, a warm-up, cosine decay to
zero, no weight decay for norms and biases. The optimizer is always AdamW, because its step does not depend on the scale
of the loss, and distillation terms may be a hundred times the cross-entropy. With SGD's usual rate for labels alone,
distilled students trained worse or diverged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any, Literal

import torch.nn as nn

from tutelage.config import RunSettings
from tutelage.errors import TutelageError
from tutelage.models import spec_of
from tutelage.terms import Optimizer, Schedule, Stage

OPEN: dict[str, Any] = {
    "optimizer.name": "auto",
    "optimizer.lr": None,
    "optimizer.weight_decay": None,
    "schedule.name": "auto",
    "schedule.warmup": None,
    "clip": "auto",
    "bn_momentum": "auto",
}
"""The settings that ``settle`` fills in, with the value that means "not set"."""

REFERENCE_BATCH = 256
"""Batch size for the rates below. SGD's rate scales with the batch size, AdamW's with its square root."""
RATES = {
    "adamw": {"convolutional": 3e-3, "transformer": 1e-3, "unnormalized": 1e-3, "pretrained": 3e-4},
    "sgd": {"convolutional": 0.1, "transformer": 0.1, "unnormalized": 0.1, "pretrained": 0.01},
}
"""Peak learning rates for training from scratch, by kind of network, and for pretrained networks."""
DECAYS = {"sgd": 5e-4, "adamw": 0.05}
CLIPS = {"sgd": 5.0, "adamw": 1.0}
"""Maximum gradient norms. The cross-entropy rarely reaches them; terms on feature maps can exceed them by far."""
LONGEST_WARMUP = 5.0
WARMUP_SHARE = 0.1
HIGHEST_ADAMW_RATE = 0.02
"""AdamW diverges above this rate on any network; such a rate is intended for SGD."""
USUAL_MOMENTUM = 0.1
"""PyTorch's default momentum. MobileNetV3 and EfficientNet use 0.01, intended for hundreds of thousands of steps."""
WINDOWS = 50
"""A run should have at least this multiple of 1/momentum steps, over which running statistics average."""

_TRANSFORMER_NORMS = (nn.LayerNorm, nn.RMSNorm, nn.GroupNorm)
_BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)


@dataclass(frozen=True)
class Optimization:
    """Optimization settings, all set, for stages without their own optimizer or schedule."""

    optimizer: Optimizer
    schedule: Schedule
    clip: float | None
    bn_momentum: float | None
    """Minimum momentum of batch normalizations; None leaves them unchanged."""
    student: str
    """The kind of network that the choice is based on."""


def choose(settings: RunSettings, student: nn.Module, stages: Sequence[Stage], steps: int) -> Optimization:
    """Return the optimization for ``student``; values set in ``settings`` are kept.

    Args:
        settings: Settings of the run; ``batch_size`` scales the rate.
        student: A network from ``tutelage.create_model``.
        stages: Stages of the run. If all of them freeze a part of the student, its new head is trained with the rate
            for training from scratch.
        steps: Number of steps in the run.

    Raises:
        TutelageError: If ``optimizer.lr`` is set without ``optimizer.name`` and is far too high for AdamW.
    """
    asked = settings.optimizer
    trained = spec_of(student).source != "random" and not all(stage.frozen for stage in stages)
    kind = kind_of(student)
    name: Literal["sgd", "adamw"] = "adamw" if asked.name == "auto" else asked.name
    if asked.name == "auto" and (asked.lr or 0.0) > HIGHEST_ADAMW_RATE:
        raise TutelageError(
            f"optimizer.lr={asked.lr:g} is too high for AdamW, the default; lower it or set optimizer.name=sgd"
        )
    batches = settings.batch_size / REFERENCE_BATCH
    rate = RATES[name]["pretrained" if trained else kind]
    optimizer = Optimizer(
        **asked.model_dump(exclude={"name", "lr", "weight_decay"}),
        name=name,
        lr=_given(asked.lr, rate * (batches if name == "sgd" else sqrt(batches))),
        weight_decay=_given(asked.weight_decay, DECAYS[name]),
    )
    clip = CLIPS[name] if settings.clip == "auto" else settings.clip
    momentum = settings.bn_momentum
    if momentum == "auto":
        momentum = None if trained else _least_momentum(student, steps)
    start = "pretrained" if trained else "from scratch"
    return Optimization(optimizer, _schedule(settings), clip, momentum, f"{kind}, {start}")


def settle(settings: RunSettings, chosen: Optimization) -> RunSettings:
    """Return ``settings`` with all settings in ``OPEN`` replaced by the chosen values."""
    found = {name: getattr(chosen, name) for name in ("optimizer", "schedule", "clip", "bn_momentum")}
    return settings.model_copy(update=found)


def raise_momentum(network: nn.Module, least: float) -> None:
    """Raise the momentum of all batch normalizations in ``network`` to at least ``least``."""
    for norm in _batch_norms(network):
        norm.momentum = max(norm.momentum or 0.0, least)


def kind_of(network: nn.Module) -> Literal["transformer", "convolutional", "unnormalized"]:
    """Return the kind of a network, judged by its normalization layers.

    Layer normalization means "transformer", including ConvNeXt and hybrids. Batch normalization alone means
    "convolutional".
    """
    modules = list(network.modules())
    if any(isinstance(module, _TRANSFORMER_NORMS) for module in modules):
        return "transformer"
    return "convolutional" if any(isinstance(module, _BATCH_NORMS) for module in modules) else "unnormalized"


def _schedule(settings: RunSettings) -> Schedule:
    asked = settings.schedule
    # Relative to the run instead of a method's stages, so that methods are compared on the same schedule.
    usual = min(LONGEST_WARMUP, WARMUP_SHARE * settings.epochs) if asked.name == "auto" else 0.0
    return Schedule(
        **asked.model_dump(exclude={"name", "warmup"}),
        name="cosine" if asked.name == "auto" else asked.name,
        warmup=_given(asked.warmup, usual),
    )


def _least_momentum(student: nn.Module, steps: int) -> float | None:
    """Return the momentum needed in a run of ``steps`` steps; None if the current one is high enough."""
    needed = min(USUAL_MOMENTUM, WINDOWS / max(1, steps))
    lowest = min((norm.momentum or 0.0 for norm in _batch_norms(student)), default=1.0)
    return needed if lowest < needed else None


def _batch_norms(network: nn.Module) -> list[nn.modules.batchnorm._BatchNorm]:
    """Return the batch normalizations that have a momentum; the others average over all steps."""
    norms = (module for module in network.modules() if isinstance(module, _BATCH_NORMS))
    return [norm for norm in norms if norm.momentum is not None]


def _given(value: float | None, otherwise: float) -> float:
    return otherwise if value is None else value
