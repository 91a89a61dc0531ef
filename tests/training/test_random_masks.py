"""Dropout in several processes: masks differ by rank, and a checkpoint has the random state of each."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from harness.pool import Pool
from harness.runs import SMALL
from harness.steps import at_step
from tutelage import train
from tutelage.runs.folder import RunFolder
from tutelage.training.loop.checkpoint import random_state, restore_random
from tutelage.training.loop.step import Step


def draw_on_one_rank(rank: int, out: str) -> Tensor:
    drawn: list[Tensor] = []
    original = Step.__call__
    try:
        at_step(1, lambda: drawn.append(torch.rand(8)))
        train(**SMALL, model="resnet8", epochs=1, out=out)
    finally:
        Step.__call__ = original  # type: ignore[method-assign]
    return drawn[0]


@pytest.mark.chaos
def test_processes_draw_different_masks(pool: Pool, tmp_path: Path) -> None:
    first, second = pool.run(draw_on_one_rank, str(tmp_path / "run"))
    assert not torch.equal(first, second)
    checkpoint, _ = RunFolder(tmp_path / "run").load_checkpoint()
    assert checkpoint is not None
    states = [state["cpu"] for state in checkpoint.random]
    assert len(states) == 2 and not torch.equal(*states)


def test_a_process_that_joins_a_resumed_run_keeps_its_own_state() -> None:
    states = [random_state()]
    torch.manual_seed(5)
    own = torch.get_rng_state()
    restore_random(states, rank=1)
    assert torch.equal(torch.get_rng_state(), own)
    restore_random(states, rank=0)
    assert torch.equal(torch.get_rng_state(), states[0]["cpu"])
