"""Search for settings on validation data, with a number of trials (Optuna) or a time budget (successive halving)."""

from __future__ import annotations

import math
import re
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, field_validator
from rich.table import Table

from tutelage.config import DistillSettings, Settings, dump, load, read_json
from tutelage.console import build_console
from tutelage.data import open_data
from tutelage.errors import TutelageError
from tutelage.runs import RunFolder
from tutelage.study.grid import Cell, cell_of, cells_of, label_of
from tutelage.study.prepare import check_runs, prepare
from tutelage.study.runs import train_cells
from tutelage.study.settings import Axes, Space, StudySettings, Tree, check_folder, read_settings, write_settings
from tutelage.study.workers import start_workers
from tutelage.training import Result

SHARE = 3
"""One in ``SHARE`` candidates advances to the next round, which is ``SHARE`` times as long."""
METHOD_NAMES = ("none", "kd", "fitnets", "at", "kd+at", "nst", "kd+nst", "ofd", "kd+ofd")
STRENGTHS = {"at": ("at.weight", 1000.0), "nst": ("nst.weight", 50.0), "ofd": ("ofd.divisor", 1000.0)}
"""The setting that scales a method's term, and its published value."""
FACTORS = (0.1, 10.0)
_UNITS = {"s": 1, "m": 60, "h": 3600}


class Interval(BaseModel):
    """An interval to search: numbers from ``low`` to ``high``, log-uniform if ``log``, integers if ``whole``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    low: float
    high: float
    log: bool = False
    whole: bool = False


class SearchSettings(Settings):
    """The settings of ``tutelage study`` with ``space``; all other keys are settings of ``distill``."""

    out: Path = Field(Path("runs/search"), description="folder of the search; its trials are in runs/ there")
    space: Space = Field(
        description="what to search: {low: 1, high: 8} for a key, with log: true or whole: true, or a list of choices"
    )
    trials: int = Field(20, ge=1, description="number of trials")
    workers: int = Field(1, ge=1, description="runs trained at a time, each in its own process")


class BudgetSettings(Settings):
    """The settings of ``tutelage study`` with ``budget``; all other keys are settings of ``distill``."""

    out: Path = Field(Path("runs/choice"), description="folder of the search; its runs are in epochs-N/runs/ there")
    budget: str = Field(description="time to spend, as in 30m, 2h or 90s")
    grid: Axes = Field(
        default_factory=lambda: {"candidate": default_candidates()},
        description="the candidates; by default the methods, with 0.1, 1 and 10 times their published weight",
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


class Trial(BaseModel):
    """One trial of :func:`search`."""

    model_config = ConfigDict(frozen=True)

    name: str
    values: dict[str, Any]
    """The settings of the trial."""
    validation_top1: float | None
    """Validation accuracy after the last epoch, in percent; None if the run failed."""


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


class Choice(BaseModel):
    """The result of :func:`choose`: the best candidate within the budget, and what a longer budget would add."""

    model_config = ConfigDict(frozen=True)

    rounds: list[Round]
    best: Candidate
    spent_seconds: float
    """Wall-clock time of this call and earlier ones."""
    next_step: str
    failed: dict[str, str]


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


def search(*layers: Mapping[str, Any] | str | Path) -> list[Trial]:
    """Search for the settings with the highest validation accuracy.

    Optuna's TPE sampler chooses the settings. All trials are ordinary runs with the same seed and length. The folder
    ``out`` contains a journal, from which the same command resumes, and ``best.yaml``, the best settings for
    ``distill`` or ``study``.

    Args:
        layers: Files, words or mappings with the settings of ``distill`` and of :class:`SearchSettings`.

    Returns:
        All trials, best first.

    Raises:
        TutelageError: If Optuna or a validation split is missing, or a trial cannot be built.
    """
    own, shared = read_settings(SearchSettings, *layers)
    distributions = _distributions(own.space)
    check_folder(own.out)
    middle = {key: _example(choices) for key, choices in own.space.items()}
    first = prepare([cell_of(own.out, shared, "check", middle)])[0]
    require_validation(first)
    write_settings(own, shared)
    study = _open(own.out)
    with start_workers(own.workers) as pool:
        while left := own.trials - sum(trial.state.is_finished() for trial in study.trials):
            # Trials that an earlier call started come first.
            asked = [trial for trial in study.trials if not trial.state.is_finished()]
            asked += [study.ask(distributions) for _ in range(min(own.workers, left) - len(asked))]
            cells = {trial.number: cell_of(own.out, shared, _name(trial), trial.params) for trial in asked}
            ready = prepare(list(cells.values()))
            check_runs(ready)
            train_cells(ready, pool)
            for number, cell in cells.items():
                _tell(study, number, cell)
    trials = sorted((_trial(trial) for trial in study.trials), key=lambda trial: -(trial.validation_top1 or 0))
    _write_best(own.out, shared, trials[0].values)
    _print_trials(own.out, trials)
    return trials


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
            rounds.append(_round(cells, epochs, failed))
    choice = Choice(
        rounds=rounds,
        best=_best(rounds, own),
        spent_seconds=clock.spent,
        next_step=_next_step(rounds, lengths, own.workers),
        failed=failed,
    )
    _write_best(own.out, shared, choice.best.values)
    (own.out / "choice.json").write_text(choice.model_dump_json(indent=2) + "\n", encoding="utf-8")
    _print_choice(own.out, choice)
    return choice


def require_validation(cell: Cell) -> None:
    """Check that the run has validation data.

    Raises:
        TutelageError: If it has none.
    """
    if open_data(cell.settings.data).validation is None:
        raise TutelageError(
            f"data.validation={cell.settings.data.validation}: settings are chosen on validation data, never on test "
            f"data. Set data.validation=0.1, for example"
        )


def _write_best(out: Path, shared: Tree, values: Mapping[str, Any]) -> None:
    (out / "best.yaml").write_text(dump(load(DistillSettings, shared, values)), encoding="utf-8")


def _open(out: Path) -> Any:
    optuna = _optuna()
    storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(out / "journal.log")))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        sampler = optuna.samplers.TPESampler(seed=0, constant_liar=True)
    return optuna.create_study(
        study_name="search", storage=storage, sampler=sampler, direction="maximize", load_if_exists=True
    )


def _optuna() -> Any:
    try:
        import optuna
    except ImportError:
        raise TutelageError("space=… needs Optuna. Run: pip install 'tutelage[search]'") from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


def _distributions(space: Mapping[str, Any]) -> dict[str, Any]:
    """Return Optuna's distribution for each key, after checking the intervals."""
    optuna = _optuna()
    distributions: dict[str, Any] = {}
    for key, choices in space.items():
        if isinstance(choices, list) and choices:
            distributions[key] = optuna.distributions.CategoricalDistribution(choices)
            continue
        interval = _interval(key, choices)
        kind = optuna.distributions.IntDistribution if interval.whole else optuna.distributions.FloatDistribution
        number = int if interval.whole else float
        distributions[key] = kind(number(interval.low), number(interval.high), log=interval.log)
    return distributions


def _interval(key: str, choices: Any) -> Interval:
    try:
        interval = TypeAdapter(Interval).validate_python(choices)
    except ValidationError:
        raise TutelageError(f"space.{key}={choices}: set {{low: 1, high: 8}} or a list of choices") from None
    if not interval.low < interval.high or (interval.log and interval.low <= 0):
        raise TutelageError(f"space.{key}={choices}: low must be less than high, and above 0 on a logarithmic scale")
    return interval


def _example(choices: Any) -> Any:
    return choices[0] if isinstance(choices, list) else choices["low"]


def _tell(study: Any, number: int, cell: Cell) -> None:
    optuna = _optuna()
    if RunFolder(cell.settings.out).is_finished():
        study.tell(number, Result.read(cell.settings.out).validation_top1)
    else:
        study.tell(number, state=optuna.trial.TrialState.FAIL)


def _name(trial: Any) -> str:
    return f"trial-{trial.number:03d}"


def _trial(trial: Any) -> Trial:
    return Trial(name=_name(trial), values=trial.params, validation_top1=trial.value)


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


def _cells(own: BudgetSettings, shared: Tree, grid: Mapping[str, Sequence[Any]], epochs: int) -> list[Cell]:
    study = StudySettings(
        out=own.out / f"epochs-{epochs}", grid={key: list(value) for key, value in grid.items()}, seeds=1
    )
    return cells_of(study, {**shared, "epochs": epochs})


def _round(cells: Sequence[Cell], epochs: int, failed: Mapping[str, str]) -> Round:
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
        return f"the time is up; with a longer budget the same command resumes {last.epochs} epochs of {names}"
    if len(rounds) == len(lengths):
        return f"{last.candidates[0].label} has trained for all epochs; only more seeds can add to this"
    epochs = lengths[len(rounds)]
    names = ", ".join(candidate.label for candidate in survivors(last))
    return f"with {expected_seconds(last, epochs, workers) / 60:.0f} more minutes: {epochs} epochs of {names}"


def _print_trials(out: Path, trials: Sequence[Trial]) -> None:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for header in ("trial", "validation top-1 %", *trials[0].values):
        table.add_column(header)
    for trial in trials:
        figure = "failed" if trial.validation_top1 is None else f"{trial.validation_top1:.2f}"
        table.add_row(trial.name, figure, *(_shown(value) for value in trial.values.values()))
    console = build_console()
    console.print(table)
    console.print(
        f"Each trial has one seed, and the best of many is partly luck. Its settings are in {out / 'best.yaml'}; "
        f"with fresh seeds: tutelage study {out / 'best.yaml'} seeds=5 out=…",
        highlight=False,
        soft_wrap=True,
    )


def _shown(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


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
