"""The whole state of a training after an epoch, and back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from timm.utils import ModelEmaV3

from tutelage.distillation import Distiller


@dataclass
class Progress:
    """Where a run stands after its last finished epoch: all that a checkpoint holds beside tensors."""

    stage: int = 0
    epoch: int = 0
    """Finished epochs of the stage."""
    seconds: float = 0.0
    images: int = 0
    best_top1: float | None = None
    """Highest accuracy on validation, in percent; agreement with the teacher where there are no labels."""
    best_epoch: int | None = None
    """The epoch of the whole run, from 1, that it was reached in."""
    records: int = 0
    """Lines of metrics.jsonl."""


def snapshot(
    distiller: Distiller, optimizer: Any, scaler: Any, averaged: ModelEmaV3 | None, progress: Progress
) -> dict[str, Any]:
    """Returns tensors, optimiser, random state and position."""
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    return {
        "student": distiller.student.state_dict(),
        "averaged": averaged.state_dict() if averaged is not None else None,
        "terms": distiller.terms.state_dict(),
        "optimizer": optimizer.state_dict(),
        "scaler": scaler.state_dict() if scaler is not None else None,
        "rng": {"cpu": torch.get_rng_state(), "cuda": cuda},
        "progress": vars(progress),
    }


def restore(
    checkpoint: dict[str, Any], distiller: Distiller, optimizer: Any, scaler: Any, averaged: ModelEmaV3 | None
) -> None:
    """Puts a training back to where :func:`snapshot` saw it."""
    distiller.student.load_state_dict(checkpoint["student"])
    distiller.terms.load_state_dict(checkpoint["terms"])
    optimizer.load_state_dict(checkpoint["optimizer"])
    if scaler is not None:
        scaler.load_state_dict(checkpoint["scaler"])
    if averaged is not None:
        averaged.load_state_dict(checkpoint["averaged"])
    torch.set_rng_state(checkpoint["rng"]["cpu"])
    if torch.cuda.is_available():
        torch.cuda.set_rng_state_all(checkpoint["rng"]["cuda"])
