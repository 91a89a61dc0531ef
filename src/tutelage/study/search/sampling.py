"""Search for settings with Optuna, within a number of trials."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from rich.table import Table

from tutelage.config import Settings
from tutelage.console import build_console
from tutelage.errors import TutelageError
from tutelage.runs import RunFolder
from tutelage.study.grid import Cell, cell_of
from tutelage.study.prepare import check_runs, prepare
from tutelage.study.runs import train_cells
from tutelage.study.search.best import require_validation, write_best
from tutelage.study.settings import Space, check_folder, read_settings, write_settings
from tutelage.study.workers import start_workers
from tutelage.training import Result


class Interval(BaseModel):
    """An interval to search: numbers from ``low`` to ``high``, log-uniform if ``log``, integers if ``whole``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    low: float
    high: float
    log: bool = False
    whole: bool = False


class SearchSettings(Settings):
    """The settings of ``tutelage study`` with ``space``; all other keys are settings of ``distill``."""

    out: Path = Field(Path("runs/search"), description="folder of the search; its trials are in runs/")
    space: Space = Field(
        description="search space: for each key {low: 1, high: 8}, with log: true or whole: true, or a list of choices"
    )
    trials: int = Field(20, ge=1, description="number of trials")
    workers: int = Field(1, ge=1, description="runs trained at a time, each in its own process")


class Trial(BaseModel):
    """One trial of :func:`search`."""

    model_config = ConfigDict(frozen=True)

    name: str
    values: dict[str, Any]
    """The settings of the trial."""
    validation_top1: float | None
    """Validation accuracy after the last epoch, in percent; None if the run failed."""


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
    write_best(own.out, shared, trials[0].values)
    _print_trials(own.out, trials)
    return trials


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
