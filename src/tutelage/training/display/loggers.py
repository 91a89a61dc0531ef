"""Who else is told of a run: TensorBoard in its folder, W&B and MLflow by choice, all as trackers of Accelerate."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tutelage.config import DistillSettings, RunSettings, dump, flatten, read_json
from tutelage.errors import TutelageError
from tutelage.methods import METHODS
from tutelage.runs import RunFolder
from tutelage.training.engine import stay_together

if TYPE_CHECKING:
    from accelerate import Accelerator
    from accelerate.tracking import GeneralTracker

PROJECT = "tutelage"
"""The project in W&B, the experiment in MLflow, unless the user's environment names another."""

NAMES = "loggers.json"
"""The file of a run that says under which names W&B and MLflow know it."""


def check_loggers(settings: RunSettings) -> None:
    """Raises :class:`TutelageError` where the package of a logger is not installed."""
    from accelerate.tracking import LoggerType, get_available_trackers

    for name in settings.loggers:
        if LoggerType(name) not in get_available_trackers():
            raise TutelageError(
                f"loggers names {name}, whose package is not installed: pip install 'tutelage[loggers]', or leave it "
                f"out (loggers=[tensorboard] is the default, loggers=[] is none)"
            )


@contextmanager
def open_loggers(engine: Accelerator, settings: RunSettings, folder: RunFolder) -> Iterator[None]:
    """Starts the loggers of the run in ``folder``, and ends them when the block is left.

    They get the settings and what ``log.txt`` says so far: the plan. Within the block ``engine.log`` reaches all of
    them. Where the run is resumed, W&B and MLflow go on with what they have of it.
    """
    path = folder.path / NAMES
    names = read_json(path, dict[str, str]) if path.exists() else {}
    engine.log_with = [_build(logger, folder.path, names.get(logger)) for logger in settings.loggers]
    engine.init_trackers(PROJECT)
    if engine.is_main_process:
        for tracker in engine.trackers:
            if tracker.name not in names:
                _introduce(tracker, settings, folder)
        if names := {tracker.name: name for tracker in engine.trackers if (name := _name(tracker))}:
            folder.write_json(NAMES, names)
    try:
        yield
    except BaseException:
        stay_together()
        raise
    finally:
        # Not end_training, which parts the processes: another run may follow.
        for tracker in engine.trackers:
            tracker.finish()


def _build(logger: str, path: Path, name: str | None) -> GeneralTracker:
    """Returns a tracker that goes on with ``name``, where it has one, and reports to nobody unless the user says so."""
    from accelerate.tracking import MLflowTracker, TensorBoardTracker, WandBTracker

    if logger == "tensorboard":
        return TensorBoardTracker("", path)
    if logger == "wandb":
        # Absolute, as its service keeps the working directory that it was started in.
        ours = {"project": PROJECT, "dir": str(path.resolve()), "mode": "offline"}
        chosen = {key: os.environ.get(f"WANDB_{key.upper()}", default) for key, default in ours.items()}
        if chosen["mode"] == "offline":
            os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
        return WandBTracker(chosen.pop("project"), name=path.name, id=name, resume="allow", **chosen)
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    return MLflowTracker(PROJECT, run_name=path.name, run_id=name)


def _introduce(tracker: GeneralTracker, settings: RunSettings, folder: RunFolder) -> None:
    if tracker.name == "tensorboard":
        plan = (folder.path / "log.txt").read_text(encoding="utf-8")
        # Its own form for settings makes a folder beside the curves.
        tracker.log({"plan": _as_code(plan), "config": _as_code(dump(settings))}, step=0)
    else:
        tracker.store_init_configuration(flatten(_used(settings)))


def _name(tracker: GeneralTracker) -> str | None:
    """Returns what a resumed run has to tell the logger to go on."""
    if tracker.name == "wandb":
        return tracker.run.id
    return tracker.active_run.info.run_id if tracker.name == "mlflow" else None


def _as_code(text: str) -> str:
    """Returns Markdown that keeps lines and columns."""
    return "\n".join(f"    {line}" for line in text.splitlines())


def _used(settings: RunSettings) -> dict[str, Any]:
    """Returns the settings without those of methods that are not in the run."""
    methods = settings.methods() if isinstance(settings, DistillSettings) else {}
    return settings.model_dump(mode="json", exclude=set(METHODS) - set(methods))
