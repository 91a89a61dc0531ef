"""The whole state of a training after an epoch, and back."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from tutelage.distillation import Distiller

if TYPE_CHECKING:
    from timm.utils import ModelEmaV3


@dataclass
class Progress:
    """Where a run stands: all that a checkpoint holds beside tensors."""

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
    step: int = 0
    """Steps of the epoch under way; what follows is of them."""
    step_seconds: float = 0.0
    waited: float = 0.0
    """Seconds in which a step waited for its batch."""
    hits: int = 0
    """Batches whose targets were stored."""
    terms: dict[str, Any] | None = None
    """Sums of the loss terms."""

    def end_epoch(self) -> None:
        """Counts the epoch under way as finished."""
        self.epoch += 1
        self.step, self.step_seconds, self.waited, self.hits, self.terms = 0, 0.0, 0.0, 0, None


def snapshot(
    distiller: Distiller, optimizer: Any, scaler: Any, averaged: ModelEmaV3 | None, progress: Progress
) -> dict[str, Any]:
    """Returns tensors, optimiser, position, and the random state of each process: all of them call it."""
    from accelerate.utils import gather_object

    return {
        "student": distiller.student.state_dict(),
        "averaged": averaged.state_dict() if averaged is not None else None,
        "terms": distiller.terms.state_dict(),
        "optimizer": optimizer.state_dict(),
        "scaler": scaler.state_dict() if scaler is not None else None,
        "random": gather_object([_random_state()]),
        "progress": vars(progress),
    }


def restore(
    checkpoint: dict[str, Any],
    distiller: Distiller,
    optimizer: Any,
    scaler: Any,
    averaged: ModelEmaV3 | None,
    rank: int,
) -> None:
    """Puts process ``rank`` of a training back to where :func:`snapshot` saw it.

    A process that the run did not have before keeps its own random state.
    """
    distiller.student.load_state_dict(checkpoint["student"])
    distiller.terms.load_state_dict(_without_layout(checkpoint["terms"], distiller.terms.state_dict()))
    optimizer.load_state_dict(checkpoint["optimizer"])
    if scaler is not None:
        scaler.load_state_dict(checkpoint["scaler"])
    if averaged is not None:
        averaged.load_state_dict(checkpoint["averaged"])
    states = checkpoint["random"]
    if rank >= len(states):
        return
    state = states[rank]
    torch.set_rng_state(state["cpu"])
    if torch.cuda.is_available() and state["cuda"] is not None:
        torch.cuda.set_rng_state(state["cuda"])


def _without_layout(terms: dict[str, Any], expected: dict[str, Any]) -> dict[str, Any]:
    """Returns the terms' state under today's names: in 0.1 a connector was the second of two modules."""
    renamed = {re.sub(r"^(\d+\.connector\.)1\.", r"\1", name): value for name, value in terms.items()}
    return renamed if renamed.keys() == expected.keys() != terms.keys() else terms


def _random_state() -> dict[str, torch.Tensor | None]:
    return {"cpu": torch.get_rng_state(), "cuda": torch.cuda.get_rng_state() if torch.cuda.is_available() else None}
