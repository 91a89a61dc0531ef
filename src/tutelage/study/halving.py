"""A method and its weight within a given time: successive halving, on validation data."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator
from rich.table import Table

from tutelage.config import DistillSettings, Settings, dump, load
from tutelage.console import build_console
from tutelage.errors import TutelageError
from tutelage.methods import METHODS
from tutelage.runs import RunFolder
from tutelage.study.grid import Cell, cells_of, label_of
from tutelage.study.prepare import check_runs, prepare
from tutelage.study.runs import train_cells
from tutelage.study.search import require_validation
from tutelage.study.settings import Axes, StudySettings, Tree, check_folder, read_settings, write_settings
from tutelage.study.workers import start_workers
from tutelage.training import Result

SHARE = 3
"""One in so many candidates goes on, and trains so many times as long."""
METHOD_NAMES = ("none", "kd", "fitnets", "at", "kd+at", "nst", "kd+nst", "ofd", "kd+ofd")
STRENGTHS = {"at": "at.weight", "nst": "nst.weight", "ofd": "ofd.divisor"}
"""The key that says how much a method's term counts."""
FACTORS = (0.1, 1.0, 10.0)
_UNITS = {"s": 1, "m": 60, "h": 3600}


class BudgetSettings(Settings):
    """``tutelage study`` with ``budget``: how long to look; all other keys are those of ``distill``."""

    out: Path = Field(Path("runs/choice"), description="the folder; its runs are in runs/ there")
    budget: str = Field(description="time to spend, as in 30m, 2h or 90s")
    grid: Axes = Field(
        default_factory=lambda: {"candidate": default_candidates()},
        description="the candidates; methods, with a tenth, the same and ten times their weight where not given",
    )
    workers: int = Field(1, ge=1, description="runs trained at a time, each in a process of its own")

    @field_validator("budget")
    @classmethod
    def _is_time(cls, budget: str) -> str:
        if not re.fullmatch(r"\d+(\.\d+)?[smh]", budget) or not float(budget[:-1]):
            raise ValueError("give a time, as in 30m, 2h or 90s")
        return budget

    @property
    def seconds(self) -> float:
        return float(self.budget[:-1]) * _UNITS[self.budget[-1]]


class Candidate(BaseModel):
    """One candidate after a round."""

    model_config = ConfigDict(frozen=True)

    label: str
    values: dict[str, Any]
    validation_top1: float
    """In percent, at the last epoch of a run of the round's length."""
    seconds: float


class Round(BaseModel):
    """Candidates trained equally long, best first."""

    model_config = ConfigDict(frozen=True)

    epochs: int
    candidates: list[Candidate]

    @property
    def seconds(self) -> float:
        return sum(candidate.seconds for candidate in self.candidates)


class Choice(BaseModel):
    """What the time was enough for, and what more of it would bring."""

    model_config = ConfigDict(frozen=True)

    rounds: list[Round]
    best: Candidate
    spent_seconds: float
    next_step: str
    failed: dict[str, str]


def default_candidates() -> list[Tree]:
    """Returns the methods that usually work, those with a weight at a tenth, the same and ten times of it."""
    candidates: list[Tree] = []
    for method in METHOD_NAMES:
        part = next((name for name in method.split("+") if name in STRENGTHS), None)
        if part is None:
            candidates.append({"method": method})
            continue
        key = STRENGTHS[part]
        usual = METHODS[part].model_fields[key.partition(".")[2]].default
        candidates += [{"method": method, key: usual * factor} for factor in FACTORS]
    return candidates


def choose(*layers: Mapping[str, Any] | str | Path) -> Choice:
    """Picks a method and its weight within ``budget``, by accuracy on validation; test data are never asked.

    Successive halving (Jamieson and Talwalkar, 2016): all candidates get a short run with a complete schedule; one in
    three goes on to a run three times as long; until one has trained for ``epochs``, or the next round would take more
    than the time that is left. The folder ``out`` gets ``choice.json`` and ``best.yaml``, settings for ``distill`` or
    ``study``. The same command again goes on, and what it had spent counts. Raises :class:`TutelageError` as ``study``.
    """
    own, shared = read_settings(BudgetSettings, *layers)
    check_folder(own.out)
    lengths = round_lengths(load(DistillSettings, {"student": ""}, shared).epochs, own.grid)
    cells = prepare(_cells(own, shared, own.grid, lengths[0]))
    require_validation(cells[0])
    write_settings(own, shared)
    rounds: list[Round] = []
    failed: dict[str, str] = {}
    with start_workers(own.workers) as pool:
        for epochs in lengths:
            if rounds:
                if _spent(rounds) + _expected(rounds, epochs) > own.seconds * own.workers:
                    break
                going_on = [candidate.values for candidate in survivors(rounds[-1])]
                cells = prepare(_cells(own, shared, {"candidate": going_on}, epochs))
            check_runs(cells)
            failed |= train_cells(cells, pool)
            rounds.append(_round(cells, epochs))
    choice = Choice(
        rounds=rounds,
        best=rounds[-1].candidates[0],
        spent_seconds=_spent(rounds),
        next_step=_next_step(rounds, lengths, own),
        failed=failed,
    )
    best = load(DistillSettings, shared, choice.best.values)
    (own.out / "best.yaml").write_text(dump(best), encoding="utf-8")
    (own.out / "choice.json").write_text(choice.model_dump_json(indent=2) + "\n", encoding="utf-8")
    _print(own.out, choice)
    return choice


def round_lengths(epochs: int, grid: Mapping[str, Sequence[Any]]) -> list[int]:
    """Returns the epochs of each round: ``epochs`` in the last, for one candidate, and a third in each before."""
    count = math.prod(len(values) for values in grid.values())
    rounds = 1
    while count > 1:
        count, rounds = math.ceil(count / SHARE), rounds + 1
    return sorted({max(1, round(epochs / SHARE**place)) for place in range(rounds)})


def survivors(finished_round: Round) -> list[Candidate]:
    """Returns the better third of a round, rounded up."""
    return finished_round.candidates[: math.ceil(len(finished_round.candidates) / SHARE)]


def _cells(own: BudgetSettings, shared: Tree, grid: Mapping[str, Sequence[Any]], epochs: int) -> list[Cell]:
    study = StudySettings(
        out=own.out / f"epochs-{epochs}", grid={key: list(value) for key, value in grid.items()}, seeds=1
    )
    return cells_of(study, {**shared, "epochs": epochs})


def _round(cells: Sequence[Cell], epochs: int) -> Round:
    candidates = []
    for cell in cells:
        if not RunFolder(cell.settings.out).is_finished():
            continue
        result = Result.read(cell.settings.out)
        assert result.validation_top1 is not None
        label = " ".join(label_of(cell.values))
        candidates.append(
            Candidate(label=label, values=cell.values, validation_top1=result.validation_top1, seconds=result.seconds)
        )
    if not candidates:
        raise TutelageError(f"no candidate could be trained for {epochs} epochs; see the .log files of its runs")
    return Round(epochs=epochs, candidates=sorted(candidates, key=lambda candidate: -candidate.validation_top1))


def _spent(rounds: Sequence[Round]) -> float:
    return sum(done.seconds for done in rounds)


def _expected(rounds: Sequence[Round], epochs: int) -> float:
    """Returns how many seconds the next round takes, from what its candidates took for an epoch."""
    return sum(candidate.seconds * epochs / rounds[-1].epochs for candidate in survivors(rounds[-1]))


def _next_step(rounds: Sequence[Round], lengths: Sequence[int], own: BudgetSettings) -> str:
    if len(rounds) == len(lengths):
        return f"{rounds[-1].candidates[0].label} has trained for the whole length; what is left are more seeds"
    epochs = lengths[len(rounds)]
    names = ", ".join(candidate.label for candidate in survivors(rounds[-1]))
    minutes = _expected(rounds, epochs) / own.workers / 60
    return f"with {minutes:.0f} more minutes: {epochs} epochs of {names}"


def _print(out: Path, choice: Choice) -> None:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for header in ("epochs", "candidate", "validation top-1 %", "seconds"):
        table.add_column(header)
    for done in reversed(choice.rounds):
        for place, candidate in enumerate(done.candidates):
            figures = (f"{candidate.validation_top1:.2f}", f"{candidate.seconds:.0f}")
            table.add_row("" if place else str(done.epochs), candidate.label, *figures)
    console = build_console()
    console.print(table)
    lines = [
        f"best: {choice.best.label}, {choice.best.validation_top1:.2f} % on validation, one seed",
        choice.next_step,
        f"its settings: {out / 'best.yaml'}; to confirm it with several seeds, on test: tutelage study "
        f"{out / 'best.yaml'} grid.method=[none,{choice.best.values.get('method', 'kd')}] seeds=5 out=…",
    ]
    lines += [f"failed: {name}: {error}" for name, error in choice.failed.items()]
    console.print("\n".join(lines), highlight=False, soft_wrap=True, markup=False)
