"""Assemble data, student, teacher and stages of a run from its settings."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import torch
import torch.nn as nn

from tutelage.config import DistillSettings, ModelSettings, RunSettings, TeacherSettings, TrainSettings
from tutelage.data import ImageData, open_data
from tutelage.distillation import BaseTeacher, Distiller, Teacher, deploy, foreign_classes, make_stages
from tutelage.methods import METHODS, Method
from tutelage.models import ModelSpec, all_but, check_storable, find_heads, parameter_count, replace_head, spec_of
from tutelage.training.engine import find_process
from tutelage.training.job.checks import (
    check_accumulate,
    check_cacheable,
    check_classes,
    check_labels,
    check_measurable,
    check_mixing,
    check_size,
    check_smallest_batch,
    weigh_classes,
    without_labels,
)
from tutelage.training.job.defaults import Optimization, choose, raise_momentum, settle
from tutelage.training.job.networks import (
    add_note,
    build_network,
    build_normalization,
    build_teacher,
    completed,
    has_classes,
    reorder_classes,
)


@dataclass(frozen=True)
class Job:
    """A run before its first step, assembled and checked."""

    settings: RunSettings
    data: ImageData
    student: nn.Module
    spec: ModelSpec
    """The spec saved with the student: normalization, input size and class names."""
    teacher: BaseTeacher | None
    distiller: Distiller
    method: str
    path: Path
    optimization: Optimization

    teacher_knows_classes: bool
    """Whether the teacher's logits are for the data's classes."""
    added_parameters: int
    """Parameters that the method adds to the deployed student."""

    @property
    def input_size(self) -> tuple[int, int]:
        """Input size (H, W) of the student."""
        assert self.spec.input_size is not None
        return self.spec.input_size

    @property
    def epochs(self) -> int:
        return sum(stage.epochs for stage in self.distiller.stages)


def build_job(settings: RunSettings, data: ImageData | None = None) -> Job:
    """Assemble and check a run.

    Args:
        settings: Settings of the run.
        data: The data of ``settings.data``, if already open.

    Raises:
        TutelageError: If settings, data and networks do not fit together.
    """
    data = data or open_data(settings.data)
    chosen, method, methods, teacher_settings = _roles(settings)
    check_mixing(settings.data, methods)
    check_classes(data)
    check_measurable(data, settings.data.validation)
    teacher = build_teacher(teacher_settings, data) if teacher_settings is not None else None
    labelled = bool((data.train.labels >= 0).any())
    if not data.classes and teacher is not None:
        data = data.with_classes(_classes_of(teacher.members[0]))
    torch.manual_seed(settings.seed)
    role = "model" if isinstance(settings, TrainSettings) else "student"
    student = build_network(role, chosen, len(data.classes) or None)
    check_storable(spec_of(student))
    if has_classes(chosen) and not reorder_classes(student, data):
        replace_head(student, len(data.classes))
        add_note(student, f"the classifier is new, because the saved classes differ from those of {data.name}")
    size = spec_of(student).input_size if chosen.input_size is not None else None
    check_size(f"{role}.input_size", student, size or data.size)
    for member in teacher.members if teacher is not None else ():
        check_size("teacher.input_size", member.network, member.input_size or data.size)
    student, added = _deployed(methods, student, teacher, size or data.size)
    spec = completed(spec_of(student), data, size)
    labels, batch_size = data.train.labels, settings.batch_size
    stages = make_stages(methods, student, teacher, size or data.size, settings.epochs, labels, batch_size)
    if not labelled:
        stages = without_labels(stages, methods, settings.data.name)
    if isinstance(settings, TrainSettings) and settings.trainable == "head":
        stages = [replace(stage, frozen=all_but(student, find_heads(student))) for stage in stages]
    check_labels(settings.data, methods, stages)
    check_accumulate(settings, stages)
    if isinstance(settings, DistillSettings):
        check_cacheable(settings, stages)
    strangers = [_class_difference(member, data) for member in teacher.members] if teacher is not None else []
    stranger = next((difference for difference in strangers if difference is not None), None)
    if stranger is not None and any(stage.teacher_logits for stage in stages):
        raise foreign_classes(f"the teacher's classes differ from the data's: {stranger}")
    steps = settings.epochs * (len(data.train) // settings.batch_size)
    optimization = choose(settings, student, stages, steps)
    if optimization.bn_momentum is not None:
        raise_momentum(student, optimization.bn_momentum)
    distiller = Distiller(
        student.to(memory_format=torch.channels_last),
        teacher,
        stages,
        normalization=build_normalization(student, data, size),
        label_smoothing=settings.label_smoothing,
        class_weights=weigh_classes(settings, data),
    )
    check_smallest_batch(distiller, settings, data, find_process(settings.device).num_processes)
    name = "-".join([chosen.name.replace("/", "_"), method, data.name, str(settings.seed)])
    path = settings.out or Path("runs") / name
    settled = settle(settings, optimization)
    return Job(settled, data, student, spec, teacher, distiller, method, path, optimization, stranger is None, added)


def _deployed(
    methods: dict[str, Method], student: nn.Module, teacher: BaseTeacher | None, size: tuple[int, int]
) -> tuple[nn.Module, int]:
    """Return the network to train and deploy, and the number of parameters it has more than the student."""
    network = deploy(methods, student, teacher, size)
    added = parameter_count(network) - parameter_count(student)
    for name, method in methods.items():
        if method.deploys:
            add_note(network, f"deployed with what {name} adds, {method.deploys}: {added:+,} parameters")
    return network, added


def _classes_of(teacher: Teacher) -> tuple[str, ...]:
    """Return the names of the teacher's classes for images without labels, or numbers if they are unknown."""
    spec = spec_of(teacher.network)
    return spec.classes or tuple(map(str, range(spec.num_classes)))


def _roles(settings: RunSettings) -> tuple[ModelSettings, str, dict[str, Method], TeacherSettings | None]:
    if isinstance(settings, TrainSettings):
        return settings.model, "none", {"none": METHODS["none"]()}, None
    assert isinstance(settings, DistillSettings)
    return settings.student, settings.method, settings.methods(), settings.teacher


def _class_difference(teacher: Teacher, data: ImageData) -> str | None:
    """Return how the teacher's classes differ from the data's, or None if they match.

    A teacher without class names matches if it has the same number of classes.
    """
    spec = spec_of(teacher.network)
    if teacher.headless:
        return f"it has no classifier, and {data.name} has {len(data.classes)} classes"
    if spec.num_classes != len(data.classes):
        return f"it has {spec.num_classes} classes, and {data.name} has {len(data.classes)}"
    for place, (own, theirs) in enumerate(zip(spec.classes or data.classes, data.classes)):
        if own != theirs:
            return f"class {place} is '{own}' for the teacher and '{theirs}' in {data.name}"
    return None
