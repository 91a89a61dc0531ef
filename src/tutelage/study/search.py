"""Hyperparameter search with Optuna: trials on validation data; the test data are never asked."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from rich.table import Table

from tutelage.config import DistillSettings, Settings, dump, load
from tutelage.console import build_console
from tutelage.data import open_data
from tutelage.errors import TutelageError
from tutelage.runs import RunFolder
from tutelage.study.grid import Cell, cell_of
from tutelage.study.prepare import check_runs, prepare
from tutelage.study.runs import train_cells
from tutelage.study.settings import Space, check_folder, read_settings, write_settings
from tutelage.study.workers import start_workers
from tutelage.training import Result


class Interval(BaseModel):
    """Numbers from ``low`` to ``high``; on a logarithmic scale, or whole ones, where so said."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    low: float
    high: float
    log: bool = False
    whole: bool = False


class SearchSettings(Settings):
    """``tutelage study`` with ``space``: what is searched; all other keys are those of ``distill``."""

    out: Path = Field(Path("runs/search"), description="the search's folder; its trials are in runs/ there")
    space: Space = Field(
        description="what is searched: a key's {low: 1, high: 8}, with log: true or whole: true, or a list of choices"
    )
    trials: int = Field(20, ge=1, description="settings that are tried")
    workers: int = Field(1, ge=1, description="runs trained at a time, each in a process of its own")


class Trial(BaseModel):
    """One trial: its settings, and the student's accuracy on validation at the last epoch, in percent."""

    model_config = ConfigDict(frozen=True)

    name: str
    values: dict[str, Any]
    validation_top1: float | None
    """None where the run failed."""


def search(*layers: Mapping[str, Any] | str | Path) -> list[Trial]:
    """Searches settings for the highest accuracy on validation, and returns all trials, best first.

    ``layers`` hold the keys of ``distill``, and ``space`` and ``trials`` (see :class:`SearchSettings`). Optuna's TPE
    sampler chooses. Every trial is an ordinary run with the same seed and budget. The folder ``out`` gets the journal
    from which the same command goes on, and ``best.yaml``, settings for ``distill`` or ``study``. Raises
    :class:`TutelageError` where Optuna or a validation split is missing, or a trial would not work.
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
            # What an earlier call had begun comes first.
            asked = [trial for trial in study.trials if not trial.state.is_finished()]
            asked += [study.ask(distributions) for _ in range(min(own.workers, left) - len(asked))]
            cells = {trial.number: cell_of(own.out, shared, _name(trial), trial.params) for trial in asked}
            ready = prepare(list(cells.values()))
            check_runs(ready)
            train_cells(ready, pool)
            for number, cell in cells.items():
                _tell(study, number, cell)
    trials = sorted((_trial(trial) for trial in study.trials), key=lambda trial: -(trial.validation_top1 or 0))
    best = load(DistillSettings, shared, trials[0].values)
    (own.out / "best.yaml").write_text(dump(best), encoding="utf-8")
    _print(own.out, trials)
    return trials


def require_validation(cell: Cell) -> None:
    """Raises :class:`TutelageError` where the run has no validation data."""
    if open_data(cell.settings.data).validation is None:
        raise TutelageError(
            f"data.validation={cell.settings.data.validation}: settings are chosen on validation data, never on test: "
            f"give data.validation=0.1, say"
        )


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
        raise TutelageError("space=… needs Optuna: pip install 'tutelage[search]'") from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


def _distributions(space: Mapping[str, Any]) -> dict[str, Any]:
    """Returns Optuna's distribution of each key; raises :class:`TutelageError` for one that has none."""
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
        raise TutelageError(f"space.{key}={choices}: give {{low: 1, high: 8}}, or a list of choices") from None
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


def _print(out: Path, trials: Sequence[Trial]) -> None:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for header in ("trial", "validation top-1 %", *trials[0].values):
        table.add_column(header)
    for trial in trials:
        figure = "failed" if trial.validation_top1 is None else f"{trial.validation_top1:.2f}"
        table.add_row(trial.name, figure, *(_shown(value) for value in trial.values.values()))
    console = build_console()
    console.print(table)
    console.print(
        f"One seed a trial, chosen on validation: the best of many is too good by chance. Its settings are in "
        f"{out / 'best.yaml'}; with fresh seeds: tutelage study {out / 'best.yaml'} seeds=5 out=…",
        highlight=False,
        soft_wrap=True,
    )


def _shown(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
