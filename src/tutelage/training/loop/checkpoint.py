"""Capture the state of a training run in a checkpoint, and restore it."""

from __future__ import annotations

import re
from typing import Any

import torch

from tutelage.distillation import Distiller
from tutelage.runs import Checkpoint, Progress
from tutelage.training.loop.epoch import Epoch
from tutelage.training.loop.step import Step


def capture(distiller: Distiller, step: Step, progress: Progress, epoch: Epoch) -> Checkpoint:
    """Return the state of a training run; all processes must call it.

    The tensors are not copied, so save the checkpoint before the next step.
    """
    from accelerate.utils import gather_object

    scaler, averaged = step.engine.scaler, step.averaged
    return Checkpoint(
        student=distiller.student.state_dict(),
        averaged=averaged.state_dict() if averaged is not None else None,
        terms=distiller.terms.state_dict(),
        optimizer=step.optimizer.state_dict(),
        scaler=scaler.state_dict() if scaler is not None else None,
        random=gather_object([random_state()]),
        progress=progress,
        epoch=epoch.state() if epoch.step < epoch.steps else None,
    )


def restore(checkpoint: Checkpoint, distiller: Distiller, step: Step, epoch: Epoch) -> None:
    """Restore the state that :func:`capture` returned; enter its stage and epoch first."""
    restore_networks(checkpoint, distiller)
    step.optimizer.load_state_dict(checkpoint.optimizer)
    if step.engine.scaler is not None:
        step.engine.scaler.load_state_dict(checkpoint.scaler)
    if step.averaged is not None:
        assert checkpoint.averaged is not None  # the settings of a run do not change
        step.averaged.load_state_dict(checkpoint.averaged)
    if checkpoint.epoch is not None:
        epoch.restore(checkpoint.epoch)
    step.taken += epoch.step
    restore_random(checkpoint.random, step.engine.process_index)


def restore_networks(checkpoint: Checkpoint, distiller: Distiller) -> None:
    """Load the weights of the student and of the current stage's connectors."""
    distiller.student.load_state_dict(checkpoint.student)
    distiller.terms.load_state_dict(_without_layout(checkpoint.terms, distiller.terms.state_dict()))


def random_state() -> dict[str, torch.Tensor | None]:
    """Return the state of this process's random generators."""
    return {"cpu": torch.get_rng_state(), "cuda": torch.cuda.get_rng_state() if torch.cuda.is_available() else None}


def restore_random(states: list[dict[str, Any]], rank: int) -> None:
    """Restore the random state of process ``rank``; additional processes keep their own state."""
    if rank >= len(states):
        return
    torch.set_rng_state(states[rank]["cpu"])
    if torch.cuda.is_available() and states[rank]["cuda"] is not None:
        torch.cuda.set_rng_state(states[rank]["cuda"])


def _without_layout(terms: dict[str, Any], expected: dict[str, Any]) -> dict[str, Any]:
    """Rename the terms' state of version 0.1, in which a connector was the second of two modules."""
    renamed = {re.sub(r"^(\d+\.connector\.)1\.", r"\1", name): value for name, value in terms.items()}
    return renamed if renamed.keys() == expected.keys() != terms.keys() else terms
