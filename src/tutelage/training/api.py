"""``train``, ``distill`` and ``resume``: settings in, a finished run folder out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator

from tutelage.config import DistillSettings, RunSettings, TrainSettings, dump, load, read_yaml
from tutelage.data import TrainLoader
from tutelage.errors import TutelageError
from tutelage.training.checks import check_trained, warn_of_few_views
from tutelage.training.engine import build_engine, find_process
from tutelage.training.environment import describe_environment
from tutelage.training.evaluation import Evaluation
from tutelage.training.finish import finish, measure_teacher
from tutelage.training.fit import Fit
from tutelage.training.folder import RunFolder
from tutelage.training.job import Job, build_job
from tutelage.training.plan import describe_plan
from tutelage.training.progress import build_console, build_display
from tutelage.training.result import Result
from tutelage.training.targets import RunTargets, open_targets
from tutelage.training.tuning import tune


def train(**config: Any) -> Result:
    """Trains one network on labels: ``train(data="~/flowers", model="timm/resnet34", out="runs/teacher")``.

    The keywords are the keys of the command line; nested ones as dictionaries (``optimizer={"lr": 0.2}``) or with dots
    (``**{"optimizer.lr": 0.2}``). Raises :class:`TutelageError` before any training where something does not fit.
    """
    return run(load(TrainSettings, config))


def distill(**config: Any) -> Result:
    """Trains a student under a teacher: ``distill(data=…, teacher="runs/teacher", student="resnet8", method="kd+at")``.

    The keywords are the keys of the command line, as in :func:`train`; a method's settings nest under its name.
    """
    return run(load(DistillSettings, config))


def run(settings: RunSettings) -> Result:
    """Starts the run that ``settings`` describe, in a new folder, and returns its result."""
    job = build_job(settings)
    check_trained(job.teacher)
    # Not in every process: the first makes the folder while others may still be on their way here.
    if find_process(settings.device).is_main_process:
        _check_folder(job, settings)
        warn_of_few_views(settings)
    job = tune(job)
    engine = _build_engine(job)
    measured = measure_teacher(job, engine)
    targets = open_targets(job, engine)
    if engine.is_main_process:
        plan = describe_plan(job, measured, targets)
        build_console().print(plan)
        _prepare_folder(job, measured).log(plan)
    engine.wait_for_everyone()
    return _complete(job, engine, measured, targets, None)


def resume(folder: str | Path) -> Result:
    """Continues an interrupted run from its last finished epoch, bit for bit on a CPU; returns its result."""
    path = Path(folder).expanduser()
    if (path / "result.json").is_file():
        raise TutelageError(f"{path} is finished: its result is in {path / 'result.json'}")
    settings = load_run(path)
    job = build_job(settings)
    engine = _build_engine(job)
    checkpoint = RunFolder(path).load_checkpoint()
    if engine.is_main_process:
        done = checkpoint["progress"]["records"] if checkpoint else 0
        RunFolder(path).keep_metrics(done)
        line = f"resuming {path} after {done} of {job.epochs} epochs"
        build_console().print(line, highlight=False, soft_wrap=True)
        RunFolder(path).log(line)
    targets = open_targets(job, engine)
    return _complete(job, engine, measure_teacher(job, engine), targets, checkpoint)


def load_run(folder: Path) -> RunSettings:
    """Returns the resolved settings of a run folder, with ``out`` where the folder is now."""
    if not (folder / "config.yaml").is_file():
        raise TutelageError(f"{folder} is not a run folder: it has no config.yaml")
    kind = TrainSettings if "model" in read_yaml(folder / "config.yaml") else DistillSettings
    return load(kind, folder / "config.yaml", {"out": str(folder)})


def _check_folder(job: Job, settings: RunSettings) -> None:
    """Raises :class:`TutelageError` where the run would write over something, or over what it reads itself."""
    folder = RunFolder(job.path)
    folder.check_free(settings.overwrite)
    read = [settings.data.name, job.spec.source]
    read += [member.source for member in job.teacher.members if member.source] if job.teacher is not None else []
    for source in read:
        path = Path(source).expanduser().resolve()
        if path.exists() and path.is_relative_to(job.path.resolve()):
            raise TutelageError(f"out={job.path} holds {source}, which this run reads: choose another out=…")


def _build_engine(job: Job) -> Accelerator:
    engine = build_engine(job.settings.precision, job.settings.device, job.path)
    job.distiller.to(engine.device)
    return engine


def _prepare_folder(job: Job, measured: Evaluation | None) -> RunFolder:
    settings, folder = job.settings, RunFolder(job.path)
    folder.create(settings.overwrite)
    folder.write_text("config.yaml", dump(settings.model_copy(update={"overwrite": False})))
    folder.write_json("environment.json", describe_environment())
    folder.write_json("classes.json", list(job.data.classes))
    folder.write_json("split.json", job.data.held_out)
    if job.teacher is not None:
        top1 = measured.top1 if measured is not None else None
        split = "validation" if job.data.validation is not None else "test"
        folder.write_json("teacher.json", {**job.teacher.identity(), "split": split, "top1": top1})
    return folder


def _complete(
    job: Job,
    engine: Accelerator,
    measured: Evaluation | None,
    targets: RunTargets | None,
    checkpoint: dict[str, Any] | None,
) -> Result:
    settings, folder = job.settings, RunFolder(job.path)
    steps = job.epochs * len(TrainLoader(job.data.train, settings.batch_size, settings.seed))
    # Dropout must not depend on what was drawn while the networks were built and measured.
    torch.manual_seed(settings.seed)
    engine.init_trackers("")
    with build_display(build_console(quiet=not engine.is_main_process), steps) as display:
        fit = Fit(job, engine, folder, display, measured.predictions if measured is not None else None, targets)
        fit.run(checkpoint)
    result = finish(job, fit.network, engine, fit.progress)
    engine.end_training()
    return result
