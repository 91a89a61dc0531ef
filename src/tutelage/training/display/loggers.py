"""Loggers of a run: TensorBoard in its folder, optionally W&B and MLflow, all through Accelerate's trackers."""

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
"""Default project in W&B and experiment in MLflow; the user's environment variables take precedence."""

NAMES = "loggers.json"
"""File in the run folder with the run's IDs in W&B and MLflow."""


def check_loggers(settings: RunSettings) -> None:
    """Check that the packages of the loggers are installed.

    Raises:
        TutelageError: If one is missing; the message contains the install command.
    """
    from accelerate.tracking import LoggerType, get_available_trackers

    for name in settings.loggers:
        if LoggerType(name) not in get_available_trackers():
            raise TutelageError(
                f"loggers includes {name}, whose package is not installed; run pip install 'tutelage[loggers]' or "
                f"remove it (default: loggers=[tensorboard]; none: loggers=[])"
            )


@contextmanager
def open_loggers(engine: Accelerator, settings: RunSettings, folder: RunFolder) -> Iterator[None]:
    """Start the loggers of the run in ``folder``, and finish them at the end of the block.

    They receive the settings, and TensorBoard also the current content of ``log.txt``, which is the plan. Inside the
    block, ``engine.log`` writes to all of them. If the run is resumed, W&B and MLflow continue their existing records.
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
        # Not end_training, which destroys the process group: another run may follow.
        for tracker in engine.trackers:
            tracker.finish()


def _build(logger: str, path: Path, name: str | None) -> GeneralTracker:
    """Return a tracker that continues the record ``name`` if set; W&B is offline unless ``WANDB_MODE`` is set."""
    from accelerate.tracking import MLflowTracker, TensorBoardTracker, WandBTracker

    if logger == "tensorboard":
        return TensorBoardTracker("", path)
    if logger == "wandb":
        # Absolute, because the W&B service keeps the working directory in which it was started.
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
        # TensorBoard's format for hyperparameters would create another folder next to the curves.
        tracker.log({"plan": _as_code(plan), "config": _as_code(dump(settings))}, step=0)
    else:
        tracker.store_init_configuration(flatten(_used(settings)))


def _name(tracker: GeneralTracker) -> str | None:
    """Return the ID with which a resumed run continues in the logger."""
    if tracker.name == "wandb":
        return tracker.run.id
    return tracker.active_run.info.run_id if tracker.name == "mlflow" else None


def _as_code(text: str) -> str:
    """Return Markdown that preserves lines and columns."""
    return "\n".join(f"    {line}" for line in text.splitlines())


def _used(settings: RunSettings) -> dict[str, Any]:
    """Return the settings without those of unused methods."""
    methods = settings.methods() if isinstance(settings, DistillSettings) else {}
    return settings.model_dump(mode="json", exclude=set(METHODS) - set(methods))
