"""``train``, ``distill`` and ``resume``: settings in, a finished run folder out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from rich.console import Console

from tutelage.config import (
    DistillSettings,
    RunSettings,
    TeacherSettings,
    TrainSettings,
    dump,
    load,
    read_yaml,
    register_networks,
)
from tutelage.console import build_console, phase
from tutelage.data import ImageData, TrainLoader, check_main_guard, explain_end, open_data
from tutelage.errors import TutelageError
from tutelage.models import Networks, handed_over, made_known
from tutelage.paths import expand
from tutelage.runs import Result, RunFolder, describe_environment
from tutelage.training.diagnosis.memory import explain, is_out_of_memory
from tutelage.training.display.loggers import check_loggers, open_loggers
from tutelage.training.display.plan import Plan, describe_plan
from tutelage.training.display.progress import build_display
from tutelage.training.engine import build_engine, find_process, seed_of
from tutelage.training.evaluation.measuring import Measured, measure_teacher
from tutelage.training.evaluation.weak_teacher import warn_of_a_weak_teacher
from tutelage.training.feeding.targets import RunTargets, open_targets
from tutelage.training.job.checks import check_trained, warn_of_few_views
from tutelage.training.job.finetuning import FOLDER, describe, finetuned, finetuning, require_same, to_finetune
from tutelage.training.job.job import Job, build_job
from tutelage.training.job.networks import add_note
from tutelage.training.job.same_data import check_moved, check_same_data, record_data
from tutelage.training.loop.finish import finish
from tutelage.training.loop.fit import Fit
from tutelage.training.loop.preemption import Notice, Preempted
from tutelage.training.tuning.tuning import tune

if TYPE_CHECKING:
    from accelerate import Accelerator


def train(**config: Any) -> Result:
    """Trains one network on labels: ``train(data="~/flowers", model="timm/resnet34", out="runs/teacher")``.

    The keywords are the keys of the command line; nested ones as dictionaries (``optimizer={"lr": 0.2}``) or with dots
    (``**{"optimizer.lr": 0.2}``). ``model`` may also be a ``torch.nn.Module`` that returns logits (B, K); it is trained
    itself. Raises :class:`TutelageError` before any training where something does not fit.
    """
    with handed_over(config) as named:
        settings = load(TrainSettings, named)
        register_networks(settings)
        return run(settings)


def distill(**config: Any) -> Result:
    """Trains a student under a teacher: ``distill(data=…, teacher="runs/teacher", student="resnet8", method="kd+at")``.

    The keywords are the keys of the command line, as in :func:`train`; a method's settings nest under its name.
    ``student`` and ``teacher`` may be modules.
    """
    with handed_over(config) as named:
        settings = load(DistillSettings, named)
        register_networks(settings)
        return run(settings)


@contextmanager
def _before_training() -> Iterator[None]:
    """Report a stop by a signal; once training runs, :func:`_complete` does."""
    try:
        yield
    except (KeyboardInterrupt, SystemExit):
        build_console().print("stopped before training began", highlight=False)
        raise


def run(settings: RunSettings, data: ImageData | None = None) -> Result:
    """Starts the run that ``settings`` describe, in a new folder, and returns its result.

    ``data`` are those of ``settings.data``, where they are open already.
    """
    check_main_guard()
    plan = Plan()
    with _before_training():
        with phase("preparing data and networks"):
            process = find_process(settings.device)
            check_loggers(settings)
            job = build_job(settings, data)
            to_train = to_finetune(settings)
            check_trained(job.teacher, to_train.finetune if to_train is not None else None)
            # Not in every process: the first makes the folder while others may still be on their way here.
            if process.is_main_process:
                _check_folder(job, settings)
                warn_of_few_views(settings)
            if to_train is not None:
                assert job.teacher is not None
                build_job(finetuning(settings, job.path / FOLDER), job.data)  # its errors stop the whole run now
                add_note(job.teacher.members[0].network, describe(to_train, job.path / FOLDER))
        plan.add(describe_plan(job))
        job = _tune(job, plan)
    with ExitStack() as held:
        if to_train is not None:
            if process.is_main_process:
                held.enter_context(_prepare_folder(job))
            process.wait_for_everyone()
            job = _taught(job.settings, to_train, job.path, job.data)
        engine = _build_engine(job)
        measured, targets = _complete_plan(job, engine, plan)
        if engine.is_main_process:
            if to_train is None:
                held.enter_context(_prepare_folder(job))
            _keep(plan, measured, job)
        engine.wait_for_everyone()
        return _complete(job, engine, measured, targets, None)


def _tune(job: Job, plan: Plan) -> Job:
    tuned = tune(job)
    for line in tuned.lines:
        plan.add(line)
    return tuned.job


@_before_training()
def _complete_plan(job: Job, engine: Accelerator, plan: Plan) -> tuple[Measured | None, RunTargets | None]:
    """Open the cache and measure the teacher; the plan says what was found."""
    targets = open_targets(job, engine)
    if targets is not None:
        plan.add(targets.describe())
    measured = measure_teacher(job, engine)
    if job.teacher is not None and measured is not None:
        plan.add(measured.describe(len(job.teacher.members)))
    if engine.is_main_process:
        warn_of_a_weak_teacher(job, measured)
    return measured, targets


def resume(folder: str | Path, network: Networks = None, data: str | Path | None = None) -> Result:
    """Continues an interrupted run from its last checkpoint, bit for bit on a CPU; returns its result.

    The number of processes may be another one; rounding and dropout are then others.

    Args:
        folder: of the run.
        network: for a run of networks of your own, those again: a module, a function's name, or a list of both, in the
            order student, teachers.
        data: where the data are now, if they moved since the run began.

    Raises:
        TutelageError: a folder that is not a run, a finished run, one that is in progress, one whose checkpoints are
            all damaged, a network that is not passed again, and data that moved or changed since the run began.
    """
    with made_known(network):
        return _resume(expand(folder), data)


def _resume(path: Path, place: str | Path | None = None) -> Result:
    check_main_guard()
    if RunFolder(path).is_finished():
        raise TutelageError(
            f"{path} is finished: its result is in {path / 'result.json'}. To continue from its weights, start a new "
            f"run with student={path}, or model={path} for tutelage train"
        )
    settings = load_run(path)
    check_loggers(settings)
    data = None
    with ExitStack() as held:
        process = find_process(settings.device)
        if process.is_main_process:
            held.enter_context(RunFolder(path).lock())
        if place is None:
            check_moved(settings, path)
        else:
            settings, data = _move(settings, path, place, process.is_main_process)
            process.wait_for_everyone()  # before the others read what was recorded
        checkpoint, damage = RunFolder(path).load_checkpoint()
        job, plan = build_taught_job(settings, path, data), Plan()
        check_same_data(job.data, path)
        engine = _build_engine(job)
        if engine.is_main_process:
            _go_on(job, checkpoint, damage)
        if checkpoint is None:
            plan.add(describe_plan(job))
        measured, targets = _complete_plan(job, engine, plan)
        if engine.is_main_process and checkpoint is None:
            _keep(plan, measured, job)
        return _complete(job, engine, measured, targets, checkpoint)


def _move(settings: RunSettings, path: Path, place: str | Path, records: bool) -> tuple[RunSettings, ImageData]:
    """Open the data of the run in ``path`` at their new place, and record it if they are the same data."""
    data = open_data(_at(settings, place).data)
    check_same_data(data, path)
    for folder in (RunFolder(path), RunFolder(path / FOLDER)):  # a teacher that is fine-tuned first has the same data
        if records and folder.is_run():
            folder.write_text("config.yaml", dump(_at(load_run(folder.path), place)))
            folder.write_json("data.json", record_data(data, str(place)))
    return _at(settings, place), data


def _at(settings: RunSettings, place: str | Path) -> RunSettings:
    """Return the settings with the data at another place."""
    return settings.model_copy(update={"data": settings.data.model_copy(update={"name": str(place)})})


def _go_on(job: Job, checkpoint: dict[str, Any] | None, damage: str | None) -> None:
    """Says from where the run goes on, and drops the metrics of what comes after that."""
    done, steps = (checkpoint["progress"][key] for key in ("records", "step")) if checkpoint is not None else (0, 0)
    RunFolder(job.path).keep_metrics(done)
    RunFolder(job.path).stopped.unlink(missing_ok=True)
    line = f"resuming {job.path} after {done} of {job.epochs} epochs" + (f" and {steps} steps" if steps else "")
    for said in (damage, line):
        if said is not None:
            build_console().print(said, highlight=False, soft_wrap=True)
            RunFolder(job.path).log(said)


def prepare_teacher(settings: RunSettings, folder: Path, data: ImageData | None = None) -> RunSettings:
    """Fine-tunes the teacher as ``settings.teacher`` says, in ``folder``, and returns settings that name the outcome.

    Settings without a teacher to fine-tune are returned as they are.

    A fine-tuning that was begun there is continued, one that is finished is taken as it is: runs that differ in what
    comes after it can share it. Raises :class:`TutelageError` where the folder holds another one.
    """
    teacher = to_finetune(settings)
    if teacher is None:
        return settings
    wanted, process = finetuning(settings, folder), find_process(settings.device)
    begun, finished = RunFolder(folder).is_run(), RunFolder(folder).is_finished()
    process.wait_for_everyone()  # before the first of them makes the folder
    if begun:
        require_same(load_run(folder), wanted, folder)
    if not finished:
        build_console().print(f"first the teacher: {describe(teacher, folder)}", highlight=False, soft_wrap=True)
        _resume(folder) if begun else run(wanted, data)
    return settings.model_copy(update={"teacher": finetuned(folder)})


def build_taught_job(settings: RunSettings, path: Path, data: ImageData | None = None) -> Job:
    """Returns the job of the run in ``path``, whose teacher is fine-tuned first, where it is to be and is not yet."""
    pupil = to_finetune(settings)
    return _taught(settings, pupil, path, data) if pupil is not None else _build(settings, data)


@_before_training()
def _build(settings: RunSettings, data: ImageData | None = None) -> Job:
    with phase("preparing data and networks"):
        return build_job(settings, data)


def _taught(settings: RunSettings, teacher: TeacherSettings, path: Path, data: ImageData | None = None) -> Job:
    """The job of the run in ``path``, whose ``teacher`` is fine-tuned first, as far as it is not yet."""
    folder = path / FOLDER
    job = _build(prepare_teacher(settings, folder, data).model_copy(update={"out": path}), data)
    assert job.teacher is not None
    add_note(job.teacher.members[0].network, describe(teacher, folder))
    return job


def load_run(folder: Path) -> RunSettings:
    """Returns the resolved settings of a run folder, with ``out`` where the folder is now."""
    if not (folder / "config.yaml").is_file():
        raise TutelageError(f"{folder} is not a run folder: it has no config.yaml")
    tree = read_yaml(folder / "config.yaml")
    kind = TrainSettings if "model" in tree else DistillSettings
    try:
        return load(kind, _with_rules_of_0_1(tree), {"out": str(folder)})
    except TutelageError as error:
        raise TutelageError(f"{folder / 'config.yaml'}: {error}") from None


def _with_rules_of_0_1(tree: dict[str, Any]) -> dict[str, Any]:
    """Adds what version 0.1 did, whose runs do not name these settings."""
    return {"bn_momentum": None} | {key: _decaying_norms(key, value) for key, value in tree.items()}


def _decaying_norms(key: str, value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    inner = {name: _decaying_norms(name, entry) for name, entry in value.items()}
    return {"decay_norms": True} | inner if key.endswith("optimizer") else inner


def _check_folder(job: Job, settings: RunSettings) -> None:
    """Raises :class:`TutelageError` where the run would write over something, or over what it reads itself."""
    folder = RunFolder(job.path)
    folder.check_free(settings.overwrite)
    read = [settings.data.name, job.spec.source]
    read += [member.source for member in job.teacher.members if member.source] if job.teacher is not None else []
    for source in read:
        path = expand(source).resolve()
        if path.exists() and path.is_relative_to(job.path.resolve()):
            raise TutelageError(f"out={job.path} holds {source}, which this run reads: choose another out=…")


def _build_engine(job: Job) -> Accelerator:
    engine = build_engine(job.settings.precision, job.settings.device)
    job.distiller.to(engine.device)
    return engine


def _prepare_folder(job: Job) -> AbstractContextManager[object]:
    """Makes the run's folder, and returns the hold on it."""
    settings, folder, environment = job.settings, RunFolder(job.path), describe_environment()
    folder.create(settings.overwrite)
    held = folder.lock()
    folder.write_text("config.yaml", dump(settings.model_copy(update={"overwrite": False})))
    folder.write_json("environment.json", environment)
    folder.write_json("classes.json", list(job.data.classes))
    folder.write_json("split.json", job.data.held_out)
    folder.write_json("data.json", record_data(job.data, settings.data.name))
    return held


def _keep(plan: Plan, measured: Measured | None, job: Job) -> None:
    """Write the plan, and what is known of the teacher, to the run's folder."""
    folder = RunFolder(job.path)
    plan.log(folder)
    if job.teacher is not None and measured is not None:
        found = {"split": measured.split, "top1": measured.top1, "measure": measured.kind}
        folder.write_json("teacher.json", {**job.teacher.identity(), **found})


def _complete(
    job: Job,
    engine: Accelerator,
    measured: Measured | None,
    targets: RunTargets | None,
    checkpoint: dict[str, Any] | None,
) -> Result:
    settings, folder = job.settings, RunFolder(job.path)
    steps = job.epochs * len(TrainLoader(job.data.train, settings.batch_size, settings.seed))
    # Dropout must not depend on what was drawn while the networks were built and measured, and each process masks
    # other images, so its masks must differ too.
    torch.manual_seed(seed_of(settings.seed, engine.process_index))
    with open_loggers(engine, settings, folder):
        console = build_console()
        notice, known = Notice(), measured.predictions if measured is not None else None
        with _said_how_to_go_on(console, job, engine), notice.awaited(), build_display(console, steps) as display:
            fit = Fit(job, engine, folder, display, known, targets, notice)
            fit.run(checkpoint)
        return finish(job, fit.network, engine, fit.progress, measured)


@contextmanager
def _said_how_to_go_on(console: Console, job: Job, engine: Accelerator) -> Iterator[None]:
    """Says, where the run is stopped, or the disk or the memory fails it, how it goes on."""
    path = job.path
    try:
        yield
    except (KeyboardInterrupt, Preempted) as stop:
        if isinstance(stop, Preempted) and engine.is_main_process:
            RunFolder(path).stopped.touch()
        console.print(f"stopped; its last checkpoint is kept: tutelage resume {path}", highlight=False, soft_wrap=True)
        raise
    except OSError as error:
        raise TutelageError(
            f"{error.filename or path}: {error.strerror or error}. The last checkpoint is kept; once this is mended: "
            f"tutelage resume {path}"
        ) from error
    except (RuntimeError, MemoryError) as error:
        ended = explain_end(error)
        if ended is not None:
            raise ended from None
        if not is_out_of_memory(error):
            raise
        raise explain(error, job, engine) from None
