"""Finish a run: evaluate student and teacher, and write the result."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from tutelage.config import DistillSettings
from tutelage.console import build_console, phase
from tutelage.data import Split
from tutelage.models import parameter_count, save_model
from tutelage.runs import Progress, Result, RunFolder, git_commit, package_versions
from tutelage.training.evaluation.accuracy import Evaluation, evaluate_network
from tutelage.training.evaluation.measuring import ACCURACY, Measured, describe_imbalance, evaluate_teacher
from tutelage.training.job.job import Job

if TYPE_CHECKING:
    from accelerate import Accelerator


def _method_settings(job: Job) -> dict[str, dict[str, Any]]:
    methods = job.settings.methods() if isinstance(job.settings, DistillSettings) else {}
    changed = {name: method.model_dump(mode="json", exclude_defaults=True) for name, method in methods.items()}
    return {name: settings for name, settings in changed.items() if settings}


def finish(
    job: Job, student: nn.Module, engine: Accelerator, progress: Progress, measured: Measured | None = None
) -> Result:
    """Evaluate ``student`` after the last epoch, write ``student/`` and ``result.json``, and print the results.

    The teacher is evaluated too, unless ``measured`` is its accuracy on the same split.
    """
    name, split = job.data.headline
    network = nn.Sequential(job.distiller.normalization, student).eval()
    known = measured is not None and (measured.kind, measured.split) == (ACCURACY, name)
    teacher = measured if known else evaluate_teacher(job, engine, name, split)
    # If the head was not trained, its agreement with the teacher is meaningless.
    reference = teacher.predictions if teacher is not None and job.distiller.stages[-1].student_logits else None
    last = _evaluate(network, job, engine, name, split, reference)
    on_validation = last if name == "validation" else None
    if on_validation is None and job.data.validation is not None:
        on_validation = _evaluate(network, job, engine, "validation", job.data.validation)
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
        best_top1=progress.best_top1 if last.top1 is not None else None,
        best_epoch=progress.best_epoch,
        validation_top1=on_validation.top1 if on_validation is not None else None,
        teacher_top1=teacher.top1 if teacher is not None else None,
        balanced_top1=last.balanced,
        majority=last.majority,
        agreement=last.agreement,
        parameters=parameter_count(job.student),
        added_parameters=job.added_parameters,
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


def _evaluate(
    network: nn.Module, job: Job, engine: Accelerator, name: str, split: Split, reference: Tensor | None = None
) -> Evaluation:
    with phase(f"measuring the student on {name}", len(split)) as advance:
        return evaluate_network(network, split, job.settings.batch_size, engine, reference, advance)


def _closing_lines(result: Result, folder: RunFolder) -> str:
    lines = []
    if result.teacher_top1 is not None:
        size = f"{result.teacher_parameters:,} parameters"
        lines.append(f"teacher  {result.teacher_top1:.2f} % top-1 on {result.split}, {size}")
    added = f", {result.added_parameters:,} of them added by {result.method}" if result.added_parameters else ""
    size = f"{result.parameters:,} parameters{added}"
    lines.append(f"student  {_figure(result)} on {result.split} ({result.rule}), {size}")
    lines.append(f"deployable student in {folder.student}")
    return "\n".join(lines)


def _figure(result: Result) -> str:
    if result.top1 is not None:
        return f"{result.top1:.2f} % top-1{describe_imbalance(result.balanced_top1, result.majority)}"
    return f"agrees with the teacher on {result.agreement:.2f} %" if result.agreement is not None else "no labels"
