"""The plan printed before training: data, networks, taps and stages, then results of trials and measurements."""

from __future__ import annotations

from textwrap import shorten

from rich.console import Group
from rich.table import Table
from rich.text import Text
from torch import nn

from tutelage.config import TrainSettings
from tutelage.console import build_console
from tutelage.data import ImageData
from tutelage.distillation import TASK
from tutelage.models import count_macs, parameter_count, shown_count, spec_of
from tutelage.runs import RunFolder
from tutelage.taps import Probe
from tutelage.terms import LOGITS, Stage, Term, is_reserved
from tutelage.training.evaluation.measuring import IMBALANCED, Measured
from tutelage.training.job.job import Job

NOTE = 150
"""Maximum length of a note in characters; teacher.json contains the full text."""


def describe_plan(job: Job, measured: Measured | None = None) -> Group:
    """Return the plan of a run; ``measured`` is the teacher's accuracy, if known."""
    return Group(_data_line(job.data), _networks(job, measured), *_notes(job), _stages(job), _settings_line(job))


class Plan:
    """The plan of a run. Parts are printed when added, and stored for the run's log."""

    def __init__(self) -> None:
        self._parts: list[Group | str] = []

    def add(self, part: Group | str) -> None:
        """Print a part of the plan."""
        self._parts.append(part)
        build_console().print(part, highlight=False, soft_wrap=isinstance(part, str), markup=False, emoji=False)

    def log(self, folder: RunFolder) -> None:
        """Write all parts to the run's log."""
        for part in self._parts:
            folder.log(part)


def _data_line(data: ImageData) -> Text:
    labelled = int((data.train.labels >= 0).sum())
    counts = [f"{len(data.train):,} train" + (f" ({labelled:,} labeled)" if 0 < labelled < len(data.train) else "")]
    counts += [f"{len(data.validation):,} validation"] if data.validation is not None else []
    counts += [f"{len(data.test):,} test"] if data.test is not None else []
    names = ", ".join(data.classes[:10]) + (", …" if len(data.classes) > 10 else "")
    labels = f"{len(data.classes)} classes: {names}" if labelled else "no labels"
    return Text(f"data     {data.name}: {', '.join(counts)}; {_side(data.size)} px; {labels}{_majority(data)}")


def _majority(data: ImageData) -> str:
    """Return the most frequent class if it covers most training images; empty otherwise."""
    counts = data.train.labels[data.train.labels >= 0].bincount()
    if len(counts) < 2 or 100 * counts.max() <= IMBALANCED * counts.sum():
        return ""
    return f"; {100 * counts.max() / counts.sum():.1f} % are {data.classes[int(counts.argmax())]}"


def _networks(job: Job, measured: Measured | None) -> Table:
    table = Table(box=None, pad_edge=False, show_header=True, header_style="bold")
    figure = [f"top-1 on {measured.split}"] if measured is not None else []
    for column in ("network", "name", "parameters", "MACs", "input", *figure):
        table.add_column(column, justify="right" if column in ("parameters", "MACs") else "left", no_wrap=True)
    if job.teacher is not None:
        top1 = [str(measured)] if measured is not None else []
        for member in job.teacher.members:
            size, network = member.input_size or job.data.size, member.network
            macs = shown_count(count_macs(network, size))
            table.add_row("teacher", member.name, shown_count(parameter_count(network)), macs, _side(size), *top1)
            top1 = ["(together)"] * len(top1)
    network, size = job.student, job.input_size
    table.add_row(
        _role(job),
        job.spec.name,
        shown_count(parameter_count(network)),
        shown_count(count_macs(network, size)),
        _side(size),
    )
    return table


def _notes(job: Job) -> list[Text]:
    """Return notes on how weights were loaded and which part of the student is frozen."""
    notes = [(_role(job), note) for note in job.spec.notes]
    for member in job.teacher.members if job.teacher is not None else []:
        notes += [("teacher", note) for note in spec_of(member.network).notes]
    frozen = job.distiller.stages[0].frozen
    if isinstance(job.settings, TrainSettings) and frozen:
        trained = sum(parameter.numel() for parameter in job.student.parameters() if parameter.requires_grad)
        notes.append(
            ("model", f"only the classifier is trained ({shown_count(trained)} parameters); the rest is frozen")
        )
    return [Text(f"{role:<9}{shorten(note, NOTE, placeholder=' …')}") for role, note in notes]


def _role(job: Job) -> str:
    return "model" if isinstance(job.settings, TrainSettings) else "student"


def _side(size: tuple[int, int]) -> str:
    return "×".join(map(str, size))


def _stages(job: Job) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("stage", "epochs", "term", "weight", "teacher", "student", "connector"):
        table.add_column(column, no_wrap=True)
    student = Probe(job.student, job.input_size)
    first = job.teacher.members[0] if job.teacher is not None else None
    teacher = Probe(first.network, first.input_size or job.data.size) if first is not None else None
    for stage in job.distiller.stages:
        label = [stage.name, str(stage.epochs)]
        for row in _terms(stage, teacher, student):
            table.add_row(*label, *row)
            label = ["", ""]
    return table


def _terms(stage: Stage, teacher: Probe | None, student: Probe) -> list[list[str]]:
    rows = [[TASK, f"{stage.task_weight:g}", "labels", LOGITS, ""]] if stage.task_weight else []
    for term in stage.terms:
        rows.append(
            [
                term.name,
                _weight(term),
                ", ".join(_tap(teacher, tap) for tap in term.teacher_taps) or "none",
                ", ".join(_tap(student, tap) for tap in term.student_taps),
                _connector(term),
            ]
        )
    return rows


def _weight(term: Term) -> str:
    return f"{term.weight:g}" + (f" → {term.final_weight:g}" if term.final_weight != term.weight else "")


def _tap(probe: Probe | None, tap: str) -> str:
    if is_reserved(tap):
        return tap
    assert probe is not None
    return f"{tap} {'×'.join(map(str, probe.shape(tap)))}"


def _connector(term: Term) -> str:
    shown = [layer for layer in map(_layer, term.connector.modules()) if layer]
    return f"{', '.join(shown)} ({shown_count(parameter_count(term.connector))})" if shown else "none"


def _layer(part: nn.Module) -> str:
    if isinstance(part, (nn.Conv2d, nn.ConvTranspose2d)):
        return f"conv {'×'.join(map(str, part.kernel_size))} {part.in_channels}→{part.out_channels}"
    return f"linear {part.in_features}→{part.out_features}" if isinstance(part, nn.Linear) else ""


def _settings_line(job: Job) -> Text:
    settings, chosen = job.settings, job.optimization
    optimizer, schedule = chosen.optimizer, chosen.schedule
    return Text(
        f"{job.epochs} epochs, batch {settings.batch_size}; {chosen.student}: {optimizer.name} lr {optimizer.lr:.3g}, "
        f"weight decay {optimizer.weight_decay:g}, {schedule.name} schedule, warm-up {schedule.warmup:g}, "
        f"clip {_limit(chosen.clip)}{_momentum(chosen.bn_momentum)}; {settings.precision}, "
        f"compile {settings.compile}, seed {settings.seed}; folder {job.path}"
    )


def _limit(clip: float | None) -> str:
    return "off" if clip is None else f"{clip:g}"


def _momentum(least: float | None) -> str:
    return "" if least is None else f", batch-norm momentum at least {least:.2g}"
