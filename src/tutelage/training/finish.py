"""Before and after the steps: the teacher's accuracy, the student's, and the files a run leaves."""

from __future__ import annotations

from typing import Any

from accelerate import Accelerator
from torch import nn

from tutelage.config import DistillSettings
from tutelage.data import Split
from tutelage.models import parameter_count, save_model
from tutelage.training.checkpoint import Progress
from tutelage.training.environment import git_commit, package_versions
from tutelage.training.evaluation import Evaluation, evaluate_network
from tutelage.training.folder import RunFolder
from tutelage.training.job import Job
from tutelage.training.progress import build_console
from tutelage.training.result import Result


def measure_teacher(job: Job, engine: Accelerator) -> Evaluation | None:
    """Evaluates the teacher on the validation data (the test data where there are none).

    Returns None where there is no teacher, or none with the classes of the data.
    """
    return _of_teacher(job, engine, job.data.validation or _headline_split(job)[1])


def _of_teacher(job: Job, engine: Accelerator, split: Split) -> Evaluation | None:
    if job.teacher is None or not job.teacher_knows_classes:
        return None
    return evaluate_network(job.teacher, split, job.settings.batch_size, engine)


def _headline_split(job: Job) -> tuple[str, Split]:
    if job.data.test is not None:
        return "test", job.data.test
    assert job.data.validation is not None
    return "validation", job.data.validation


def _method_settings(job: Job) -> dict[str, dict[str, Any]]:
    methods = job.settings.methods() if isinstance(job.settings, DistillSettings) else {}
    changed = {name: method.model_dump(mode="json", exclude_defaults=True) for name, method in methods.items()}
    return {name: settings for name, settings in changed.items() if settings}


def finish(job: Job, student: nn.Module, engine: Accelerator, progress: Progress) -> Result:
    """Evaluates ``student`` after the last epoch, writes ``student/`` and ``result.json``, prints the closing lines."""
    name, split = _headline_split(job)
    network = nn.Sequential(job.distiller.normalization, student)
    teacher = _of_teacher(job, engine, split)
    last = evaluate_network(
        network, split, job.settings.batch_size, engine, teacher.predictions if teacher is not None else None
    )
    on_validation = last if name == "validation" else None
    if on_validation is None and job.data.validation is not None:
        on_validation = evaluate_network(network, job.data.validation, job.settings.batch_size, engine)
    result = Result(
        status="finished",
        method=job.method,
        settings=_method_settings(job),
        data=job.data.name,
        student=job.spec.name,
        teacher=job.teacher.name if job.teacher is not None else None,
        seed=job.settings.seed,
        epochs=job.epochs,
        split=name,
        top1=last.top1,
        top5=last.top5,
        best_top1=progress.best_top1,
        best_epoch=progress.best_epoch,
        validation_top1=on_validation.top1 if on_validation is not None else None,
        teacher_top1=teacher.top1 if teacher is not None else None,
        agreement=last.agreement,
        parameters=parameter_count(job.student),
        teacher_parameters=(
            sum(parameter_count(member.network) for member in job.teacher.members) if job.teacher is not None else None
        ),
        precision=job.settings.precision,
        seconds=progress.seconds,
        images_per_second=progress.images / progress.seconds,
        git=git_commit(),
        packages=package_versions(),
        folder=str(job.path),
    )
    if engine.is_main_process:
        folder = RunFolder(job.path)
        save_model(student, folder.student, job.spec)
        folder.write_json("result.json", result.model_dump())
        closing = _closing_lines(result, folder)
        build_console().print(closing, highlight=False, soft_wrap=True)
        folder.log(closing)
    engine.wait_for_everyone()
    return result


def _closing_lines(result: Result, folder: RunFolder) -> str:
    lines = []
    if result.teacher_top1 is not None:
        size = f"{result.teacher_parameters:,} parameters"
        lines.append(f"teacher  {result.teacher_top1:.2f} % top-1 on {result.split}, {size}")
    size = f"{result.parameters:,} parameters"
    lines.append(f"student  {result.top1:.2f} % top-1 on {result.split} ({result.rule}), {size}")
    lines.append(f"deployable student in {folder.student}")
    return "\n".join(lines)
