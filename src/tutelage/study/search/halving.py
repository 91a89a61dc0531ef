"""Search for a method and its weight by successive halving, within a time."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator
from rich.table import Table

from tutelage.config import DistillSettings, Settings, load, read_json
from tutelage.console import build_console
from tutelage.errors import TutelageError
from tutelage.study.grid import Cell, cells_of
from tutelage.study.prepare import check_runs, prepare
from tutelage.study.runs import train_cells
from tutelage.study.search.best import require_validation, write_best
from tutelage.study.search.rounds import Candidate, Clock, Round, expected_seconds, make_round, round_lengths, survivors
from tutelage.study.settings import Axes, StudySettings, Tree, check_folder, read_settings, write_settings
from tutelage.study.workers import start_workers
from tutelage.training import Result

METHOD_NAMES = ("none", "kd", "fitnets", "at", "kd+at", "nst", "kd+nst", "ofd", "kd+ofd")
STRENGTHS = {"at": ("at.weight", 1000.0), "nst": ("nst.weight", 50.0), "ofd": ("ofd.divisor", 1000.0)}
"""The setting that scales a method's term, and its published value."""
FACTORS = (0.1, 10.0)
_UNITS = {"s": 1, "m": 60, "h": 3600}


class BudgetSettings(Settings):
    """The settings of ``tutelage study`` with ``budget``; all other keys are settings of ``distill``."""

    out: Path = Field(Path("runs/choice"), description="folder of the search; its runs are in epochs-N/runs/")
    budget: str = Field(description="time limit, as in 30m, 2h or 90s")
    grid: Axes = Field(
        default_factory=lambda: {"candidate": default_candidates()},
        description="candidates; default: the methods, with 0.1, 1 and 10 times their published weight",
    )
    workers: int = Field(1, ge=1, description="runs trained at a time, each in its own process")

    @field_validator("budget")
    @classmethod
    def _is_time(cls, budget: str) -> str:
        if not re.fullmatch(r"\d+(\.\d+)?[smh]", budget) or not float(budget[:-1]):
            raise ValueError("set a time, as in 30m, 2h or 90s")
        return budget

    @property
    def seconds(self) -> float:
        return float(self.budget[:-1]) * _UNITS[self.budget[-1]]


class Choice(BaseModel):
    """The result of :func:`choose`: the best candidate within the budget, and what a longer budget would add."""

    model_config = ConfigDict(frozen=True)

    rounds: list[Round]
    best: Candidate
    spent_seconds: float
    """Wall-clock time of this call and earlier ones."""
    next_step: str
    failed: dict[str, str]


def choose(*layers: Mapping[str, Any] | str | Path) -> Choice:
    """Choose a method and its weight by validation accuracy, within the time ``budget``.

    Successive halving (Jamieson and Talwalkar, 2016): all candidates get a short run with a complete schedule. The best
    third advances to runs three times as long, until one candidate has trained for ``epochs``. A round starts only if
    it is expected to end within the budget, based on the previous training times of its candidates. When the time is
    up, running candidates are stopped, even in the first round. ``choice.json`` and ``best.yaml``, the best settings
    for ``distill`` or ``study``, are written to the folder ``out``. The same command resumes the search, and the time
    already spent counts.

    Args:
        layers: Files, words or mappings with the settings of ``distill`` and of :class:`BudgetSettings`.

    Raises:
        TutelageError: For the same reasons as :func:`study`; if a validation split is missing, or no candidate finishes
            within the budget.
    """
    own, shared = read_settings(BudgetSettings, *layers)
    clock = Clock(own.seconds, spent_before(own.out, own.workers))
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
                if rounds[-1].unfinished or expected_seconds(rounds[-1], epochs, own.workers) > clock.left:
                    break
                going_on = [candidate.values for candidate in survivors(rounds[-1])]
                cells = prepare(_cells(own, shared, {"candidate": going_on}, epochs))
            check_runs(cells)
            failed |= train_cells(cells, pool, clock.is_up)
            rounds.append(make_round(cells, epochs, failed))
    choice = Choice(
        rounds=rounds,
        best=_best(rounds, own),
        spent_seconds=clock.spent,
        next_step=_next_step(rounds, lengths, own.workers),
        failed=failed,
    )
    write_best(own.out, shared, choice.best.values)
    (own.out / "choice.json").write_text(choice.model_dump_json(indent=2) + "\n", encoding="utf-8")
    _print_choice(own.out, choice)
    return choice


def default_candidates() -> list[Tree]:
    """Return the standard methods with default weights, followed by methods with 0.1 and 10 times the default weight.

    The order matters if the budget ends in the first round.
    """
    candidates: list[Tree] = [{"method": method} for method in METHOD_NAMES]
    for factor in FACTORS:
        for method in METHOD_NAMES:
            part = next((name for name in method.split("+") if name in STRENGTHS), None)
            if part is not None:
                key, usual = STRENGTHS[part]
                candidates.append({"method": method, key: usual * factor})
    return candidates


def spent_before(out: Path, workers: int) -> float:
    """Return the time of earlier calls in seconds: as recorded, or of their runs if the calls were interrupted."""
    path = out / "choice.json"
    recorded = read_json(path, Choice).spent_seconds if path.is_file() else 0.0
    trained = sum(Result.read(result.parent).seconds for result in out.glob("epochs-*/runs/*/result.json"))
    return max(recorded, trained / workers)


def _cells(own: BudgetSettings, shared: Tree, grid: Mapping[str, Sequence[Any]], epochs: int) -> list[Cell]:
    study = StudySettings(
        out=own.out / f"epochs-{epochs}", grid={key: list(value) for key, value in grid.items()}, seeds=1
    )
    return cells_of(study, {**shared, "epochs": epochs})


def _best(rounds: Sequence[Round], own: BudgetSettings) -> Candidate:
    best = next((done.candidates[0] for done in reversed(rounds) if done.candidates), None)
    if best is None:
        raise TutelageError(
            f"budget={own.budget}: no candidate finished its first {rounds[0].epochs} epochs in this time. Set fewer "
            f"epochs, or a longer budget; the same command then resumes"
        )
    return best


def _next_step(rounds: Sequence[Round], lengths: Sequence[int], workers: int) -> str:
    last = rounds[-1]
    if last.unfinished:
        names = ", ".join(last.unfinished)
        return f"the time is up; set a longer budget, and the same command resumes {last.epochs} epochs of {names}"
    if len(rounds) == len(lengths):
        return f"{last.candidates[0].label} has trained for all epochs; to confirm it, train more seeds"
    epochs = lengths[len(rounds)]
    names = ", ".join(candidate.label for candidate in survivors(last))
    return f"with {expected_seconds(last, epochs, workers) / 60:.0f} more minutes: {epochs} epochs of {names}"


def _print_choice(out: Path, choice: Choice) -> None:
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
