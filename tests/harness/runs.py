"""Settings of a run that takes a second: a tenth of the digits, five steps an epoch, nothing beside the training."""

from __future__ import annotations

from typing import Any

SMALL: dict[str, Any] = {
    "data": {"name": "digits", "fraction": 0.1},
    "batch_size": 26,
    "optimizer": {"name": "sgd", "lr": 0.05},
    "precision": "fp32",
    "compile": "off",
    "device": "cpu",
    "loggers": [],
}
IMAGES = 130
"""All that are trained on: no batch is left over."""
STEPS = 5
"""Steps an epoch."""
