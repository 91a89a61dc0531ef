"""``train``, ``distill`` and ``resume``, which turn settings into a finished run folder."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from tutelage.config import DistillSettings, RunSettings, TrainSettings, load, register_networks
from tutelage.console import build_console, phase
from tutelage.data import ImageData, TrainLoader, check_main_guard
from tutelage.errors import TutelageError
from tutelage.models import Networks, handed_over, made_known
from tutelage.paths import expand
from tutelage.runs import Checkpoint, Result, RunFolder
from tutelage.training.display.loggers import check_loggers, open_loggers
from tutelage.training.display.plan import Plan, describe_plan
from tutelage.training.display.progress import build_display
from tutelage.training.engine import build_engine, find_process, seed_of
from tutelage.training.evaluation.measuring import Measured, keep_measured, kept_measured, measure_teacher
from tutelage.training.evaluation.weak_teacher import warn_of_a_weak_teacher
from tutelage.training.feeding.targets import RunTargets, open_targets
from tutelage.training.job.checks import check_trained, warn_of_few_views
from tutelage.training.job.finetuning import FOLDER, describe, finetuned, finetuning, require_same, to_finetune
from tutelage.training.job.job import Job, build_job
from tutelage.training.job.networks import add_note
from tutelage.training.job.new_folder import check_folder, new_folder
from tutelage.training.job.same_data import check_moved, check_same_data, move_data
from tutelage.training.job.saved_settings import load_run
from tutelage.training.loop.finish import finish
from tutelage.training.loop.fit import Fit
from tutelage.training.loop.interruption import before_training, resumable
from tutelage.training.loop.preemption import Notice
from tutelage.training.tuning.tuning import tune

if TYPE_CHECKING:
    from accelerate import Accelerator, PartialState


def train(**config: Any) -> Result:
    """Train one network on labels, for example a teacher.

    Args:
        config: The settings of ``tutelage train``, with sections as dictionaries (``optimizer={"lr": 0.2}``) or keys
            with dots (``**{"optimizer.lr": 0.2}``). ``model`` can also be a ``torch.nn.Module`` that returns logits
            (B, K); it is trained in place.

    Returns:
        The content of the run's ``result.json``.

    Raises:
        TutelageError: If a setting is invalid, before any training, or the training cannot continue.

    Example:
        >>> import tutelage
        >>> result = tutelage.train(data="digits", model="resnet8", epochs=1, out="runs/teacher")
        data     digits: 1,293 train, 145 validation, 359 test; 16×16 px; 10 classes: ...
        >>> result.folder, result.split, result.top1 > 0
        ('runs/teacher', 'test', True)
    """
    return _run_of(TrainSettings, config)


def distill(**config: Any) -> Result:
    """Train a student with a teacher.

    Args:
        config: The settings of ``tutelage distill``, as for :func:`train`. The settings of a method are a section with
            its name (``kd={"temperature": 2}``). ``student`` and ``teacher`` can also be modules.

    Returns:
        The content of the run's ``result.json``.

    Raises:
        TutelageError: If a setting is invalid, before any training, or the training cannot continue.

    Example:
        >>> import tutelage
        >>> result = tutelage.distill(
        ...     data="digits", teacher="runs/teacher", student="resnet8", method="kd+at", epochs=1, out="runs/student"
        ... )
        data     digits: 1,293 train, 145 validation, 359 test; 16×16 px; 10 classes: ...
        >>> result.method, result.teacher
        ('kd+at', 'resnet8')
    """
    return _run_of(DistillSettings, config)


def _run_of(kind: type[RunSettings], config: dict[str, Any]) -> Result:
    with handed_over(config) as named:
        settings = load(kind, named)
        register_networks(settings)
        return run(settings)


def run(settings: RunSettings, data: ImageData | None = None) -> Result:
    """Start the run that ``settings`` describe in a new folder, and return its result.

    Args:
        settings: The settings of the run.
        data: The data of ``settings.data``, if they are already open.
    """
    check_main_guard()
    process, plan = find_process(settings.device), Plan()
    with before_training():
        job = _checked_job(settings, data, process)
        plan.add(describe_plan(job))
        tuned = tune(job)
        for line in tuned.lines:
            plan.add(line)
    job = tuned.job
    with ExitStack() as held:
        if to_finetune(settings) is not None:
            held.enter_context(new_folder(job, process))
            job = build_taught_job(job.settings, job.path, job.data)
        engine = _build_engine(job)
        measured, targets = _measure(job, engine, plan)
        if to_finetune(settings) is None:
            held.enter_context(new_folder(job, engine))
        if engine.is_main_process:
            plan.log(RunFolder(job.path))
        if measured is not None:
            keep_measured(measured, job, engine)
        return _fit(job, engine, measured, targets)


def resume(folder: str | Path, network: Networks = None, data: str | Path | None = None) -> Result:
    """Resume an interrupted run from its last checkpoint.

    On a CPU, the result is bitwise identical to that of an uninterrupted run. If the number of processes changes,
    rounding and dropout differ.

    Args:
        folder: The run folder.
        network: Your own networks, if the run uses any: a module, the name of a function, or a list of both, in the
            order student, teachers.
        data: The current location of the data, if they were moved since the run started.

    Returns:
        The content of the run's ``result.json``.

    Raises:
        TutelageError: If the folder is not a run folder, the run is finished or in progress, all its checkpoints are
            damaged, a network is not passed, or the data were moved or changed since the run started.

    Example:
        >>> from pathlib import Path
        >>> import tutelage
        >>> Path("runs/student/result.json").unlink()  # as if the run had been killed before its evaluation
        >>> result = tutelage.resume("runs/student")
        resuming runs/student after 1 of 1 epochs
        ...
    """
    with made_known(network):
        return _resume(expand(folder), data)


def _resume(path: Path, place: str | Path | None = None) -> Result:
    check_main_guard()
    folder = RunFolder(path)
    if folder.is_finished():
        raise TutelageError(
            f"{path} is finished: its result is in {path / 'result.json'}. To continue from its weights, start a new "
            f"run with student={path}, or model={path} for tutelage train"
        )
    settings, data, plan = load_run(path), None, Plan()
    check_loggers(settings)
    process = find_process(settings.device)
    with ExitStack() as held:
        if process.is_main_process:
            held.enter_context(folder.lock())
        if place is None:
            check_moved(settings, path)
        else:
            settings, data = move_data(settings, path, place, process.is_main_process)
            process.wait_for_everyone()  # before the other processes read the recorded place
        checkpoint, damage = folder.load_checkpoint()
        job = build_taught_job(settings, path, data)
        check_same_data(job.data, path)
        engine = _build_engine(job)
        if engine.is_main_process:
            folder.rewind(checkpoint.progress.records if checkpoint is not None else 0)
            _report_resume(job, checkpoint, damage)
        if checkpoint is None:
            plan.add(describe_plan(job))
        kept = kept_measured(job, engine)
        measured, targets = _measure(job, engine, plan, kept)
        if engine.is_main_process and checkpoint is None:
            plan.log(folder)
        if kept is None and measured is not None:
            keep_measured(measured, job, engine)
        return _fit(job, engine, measured, targets, checkpoint)


def _report_resume(job: Job, checkpoint: Checkpoint | None, damage: str | None) -> None:
    """Report a damaged checkpoint, if any, and the point from which the run resumes."""
    done, steps = (checkpoint.progress.records, checkpoint.step) if checkpoint is not None else (0, 0)
    line = f"resuming {job.path} after {done} of {job.epochs} epochs" + (f" and {steps} steps" if steps else "")
    for said in (damage, line):
        if said is not None:
            build_console().print(said, highlight=False, soft_wrap=True)
            RunFolder(job.path).log(said)


def _checked_job(settings: RunSettings, data: ImageData | None, process: PartialState) -> Job:
    """Assemble and check a new run, including the fine-tuning of its teacher."""
    with phase("preparing data and networks"):
        check_loggers(settings)
        job, teacher = build_job(settings, data), to_finetune(settings)
        check_trained(job.teacher, teacher.finetune if teacher is not None else None)
        # Only in the main process, which may create the folder before other processes get here.
        if process.is_main_process:
            check_folder(job, settings)
            warn_of_few_views(settings)
        if teacher is not None:
            assert job.teacher is not None
            build_job(finetuning(settings, job.path / FOLDER), job.data)
            add_note(job.teacher.members[0].network, describe(teacher, job.path / FOLDER))
    return job


def prepare_teacher(settings: RunSettings, folder: Path, data: ImageData | None = None) -> RunSettings:
    """Fine-tune the teacher in ``folder`` as ``settings.teacher`` specifies, and return settings that use the result.

    Unfinished fine-tuning in ``folder`` is resumed, and a finished teacher is reused, so that runs can share it.
    Settings without a teacher to fine-tune are returned unchanged.

    Raises:
        TutelageError: If ``folder`` contains a teacher that was fine-tuned with other settings.
    """
    teacher = to_finetune(settings)
    if teacher is None:
        return settings
    wanted, process = finetuning(settings, folder), find_process(settings.device)
    begun, finished = RunFolder(folder).is_run(), RunFolder(folder).is_finished()
    process.wait_for_everyone()  # before the main process creates the folder
    if begun:
        require_same(load_run(folder), wanted, folder)
    if not finished:
        build_console().print(
            f"training the teacher first: {describe(teacher, folder)}", highlight=False, soft_wrap=True
        )
        _resume(folder) if begun else run(wanted, data)
    return settings.model_copy(update={"teacher": finetuned(folder)})


def build_taught_job(settings: RunSettings, path: Path, data: ImageData | None = None) -> Job:
    """Return the job of the run in ``path``, after fine-tuning its teacher if that is requested and not done yet."""
    teacher = to_finetune(settings)
    if teacher is not None:
        settings = prepare_teacher(settings, path / FOLDER, data).model_copy(update={"out": path})
    with before_training(), phase("preparing data and networks"):
        job = build_job(settings, data)
    if teacher is not None:
        assert job.teacher is not None
        add_note(job.teacher.members[0].network, describe(teacher, path / FOLDER))
    return job


def _build_engine(job: Job) -> Accelerator:
    engine = build_engine(job.settings.precision, job.settings.device)
    job.distiller.to(engine.device)
    return engine


@before_training()
def _measure(
    job: Job, engine: Accelerator, plan: Plan, measured: Measured | None = None
) -> tuple[Measured | None, RunTargets | None]:
    """Open the cache, measure the teacher unless ``measured`` is passed, and add both to the plan."""
    targets = open_targets(job, engine)
    if targets is not None:
        plan.add(targets.describe())
    if measured is None:
        measured = measure_teacher(job, engine)
    if job.teacher is not None and measured is not None:
        plan.add(measured.describe(len(job.teacher.members)))
    if engine.is_main_process:
        warn_of_a_weak_teacher(job, measured)
    return measured, targets


def _fit(
    job: Job,
    engine: Accelerator,
    measured: Measured | None,
    targets: RunTargets | None,
    checkpoint: Checkpoint | None = None,
) -> Result:
    """Train the job, resuming from the checkpoint if there is one, and finish the run."""
    settings, folder, notice = job.settings, RunFolder(job.path), Notice()
    predictions = measured.predictions if measured is not None else None
    steps = job.epochs * len(TrainLoader(job.data.train, settings.batch_size, settings.seed))
    # Dropout must not depend on random numbers drawn while the networks were built and measured, and its masks must
    # differ between processes.
    torch.manual_seed(seed_of(settings.seed, engine.process_index))
    with open_loggers(engine, settings, folder):
        with resumable(job, engine), notice.awaited(), build_display(build_console(), steps) as display:
            fit = Fit(job, engine, folder, display, predictions, targets, notice)
            fit.run(checkpoint)
        return finish(job, fit.network, engine, fit.progress, measured)
