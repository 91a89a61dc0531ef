"""The rounds of successive halving: their lengths, their candidates, and the time they take."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, ConfigDict

from tutelage.errors import TutelageError
from tutelage.runs import RunFolder
from tutelage.study.grid import Cell, label_of
from tutelage.training import Result

SHARE = 3
"""One in ``SHARE`` candidates advances to the next round, which is ``SHARE`` times as long."""


class Candidate(BaseModel):
    """The result of a candidate in one round of :func:`choose`."""

    model_config = ConfigDict(frozen=True)

    label: str
    values: dict[str, Any]
    validation_top1: float
    """Validation accuracy after the last epoch of the round, in percent."""
    seconds: float


class Round(BaseModel):
    """Candidates trained for the same number of epochs, best first."""

    model_config = ConfigDict(frozen=True)

    epochs: int
    candidates: list[Candidate]
    unfinished: list[str] = []
    """Labels of the candidates that did not finish within the budget."""


@dataclass(frozen=True)
class Clock:
    """The time budget of a search, in seconds."""

    budget: float
    spent_before: float
    """Time spent by earlier calls of the same search."""
    start: float = field(default_factory=time.monotonic)

    @property
    def spent(self) -> float:
        return self.spent_before + time.monotonic() - self.start

    @property
    def left(self) -> float:
        return self.budget - self.spent

    def is_up(self) -> bool:
        return self.left <= 0


def round_lengths(epochs: int, grid: Mapping[str, Sequence[Any]]) -> list[int]:
    """Return the epochs of each round: ``epochs`` in the last round, and a third of the next in each earlier round."""
    count = math.prod(len(values) for values in grid.values())
    rounds = 1
    while count > 1:
        count, rounds = math.ceil(count / SHARE), rounds + 1
    return sorted({max(1, round(epochs / SHARE**place)) for place in range(rounds)})


def survivors(finished_round: Round) -> list[Candidate]:
    """Return the best third of a round, rounded up."""
    return finished_round.candidates[: math.ceil(len(finished_round.candidates) / SHARE)]


def expected_seconds(finished_round: Round, epochs: int, workers: int) -> float:
    """Return the expected time of ``epochs`` for the survivors of a round, based on their time per epoch."""
    seconds = [candidate.seconds * epochs / finished_round.epochs for candidate in survivors(finished_round)]
    return max(sum(seconds) / workers, *seconds)


def make_round(cells: Sequence[Cell], epochs: int, failed: Mapping[str, str]) -> Round:
    candidates, unfinished = [], []
    for cell in cells:
        label = " ".join(label_of(cell.values))
        if RunFolder(cell.settings.out).is_finished():
            result = Result.read(cell.settings.out)
            top1 = result.validation_top1
            assert top1 is not None
            candidates.append(Candidate(label=label, values=cell.values, validation_top1=top1, seconds=result.seconds))
        elif cell.name not in failed:
            unfinished.append(label)
    if not candidates and not unfinished:
        raise TutelageError(f"all candidates failed in the round of {epochs} epochs; see the .log files of its runs")
    candidates.sort(key=lambda candidate: -candidate.validation_top1)
    return Round(epochs=epochs, candidates=candidates, unfinished=unfinished)
