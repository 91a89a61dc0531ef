"""From settings to everything a run needs: data, student, teacher, stages."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import torch
import torch.nn as nn

from tutelage.config import DistillSettings, ModelSettings, RunSettings, TeacherSettings, TrainSettings
from tutelage.data import ImageData, Normalization, open_data
from tutelage.distillation import Distiller, Ensemble, Teacher, make_stages
from tutelage.errors import TutelageError
from tutelage.methods import METHODS, Method
from tutelage.models import ModelSpec, create_model
from tutelage.training.checks import check_cacheable, check_mixing

LIBRARIES = ("timm/", "torchvision/", "hf-hub:")


@dataclass(frozen=True)
class Job:
    """One training, assembled and checked, before the first step."""

    settings: RunSettings
    data: ImageData
    student: nn.Module
    spec: ModelSpec
    """What is saved with the student: its own normalisation, input size and class names."""
    teacher: Teacher | None
    distiller: Distiller
    method: str
    path: Path

    teacher_knows_classes: bool
    """Whether the teacher's logits are about the data's classes."""

    @property
    def epochs(self) -> int:
        return sum(stage.epochs for stage in self.distiller.stages)


def build_job(settings: RunSettings) -> Job:
    """Assembles a run; raises :class:`TutelageError` for whatever would not work, before any training."""
    data = open_data(settings.data)
    chosen, method, methods, teacher_settings = _roles(settings)
    check_mixing(settings.data, methods)
    torch.manual_seed(settings.seed)
    role = "model" if isinstance(settings, TrainSettings) else "student"
    student = _create(role, chosen.name, chosen.weights, len(data.classes))
    spec = _complete(student.spec, data)  # type: ignore[arg-type]
    teacher = build_teacher(teacher_settings, data) if teacher_settings is not None else None
    stages = make_stages(methods, student, teacher, data.size, settings.epochs)
    if isinstance(settings, DistillSettings):
        check_cacheable(settings, stages)
    strangers = [_class_difference(member, data) for member in teacher.members] if teacher is not None else []
    stranger = next((difference for difference in strangers if difference is not None), None)
    if stranger is not None and any(stage.teacher_logits for stage in stages):
        raise TutelageError(
            f"the teacher's classes are not the data's: {stranger}. Train a teacher on this data (tutelage train "
            f"data=… model=… out=runs/teacher, then teacher=runs/teacher), or choose a method that reads features only "
            f"(such as method=at)"
        )
    distiller = Distiller(
        student.to(memory_format=torch.channels_last),
        teacher,
        stages,
        normalization=build_normalization(student, data),
        label_smoothing=settings.label_smoothing,
    )
    name = "-".join([chosen.name.replace("/", "_"), method, data.name, str(settings.seed)])
    path = settings.out or Path("runs") / name
    return Job(settings, data, student, spec, teacher, distiller, method, path, stranger is None)


def _roles(settings: RunSettings) -> tuple[ModelSettings, str, dict[str, Method], TeacherSettings | None]:
    if isinstance(settings, TrainSettings):
        return settings.model, "none", {"none": METHODS["none"]()}, None
    assert isinstance(settings, DistillSettings)
    return settings.student, settings.method, settings.methods(), settings.teacher


def build_teacher(settings: TeacherSettings, data: ImageData) -> Teacher:
    """Returns the teacher, or the ensemble of them where ``settings`` name several."""
    members = [_build_member(name, settings, data) for name in settings.names]
    return members[0] if len(members) == 1 else Ensemble(members)


def _build_member(name: str, settings: TeacherSettings, data: ImageData) -> Teacher:
    """Returns a teacher with its own classes, normalisation and input size; a library's is the pretrained one."""
    weights = settings.weights
    if weights is None and name.startswith(LIBRARIES):
        weights = "pretrained"
    network = _create("teacher", name, weights)
    spec = network.spec
    assert isinstance(spec, ModelSpec)
    side = settings.input_size
    size = (side, side) if side is not None else spec.input_size
    network.to(memory_format=torch.channels_last)
    return Teacher(network, build_normalization(network, data, size))


def _create(role: str, name: str, weights: str | None, num_classes: int | None = None) -> nn.Module:
    try:
        return create_model(name, num_classes, weights)
    except TutelageError as error:
        raise TutelageError(f"{role}={name}: {error}") from error


def _complete(spec: ModelSpec, data: ImageData) -> ModelSpec:
    """Fills what the network does not know of itself with what the data say."""
    return replace(
        spec, mean=spec.mean or data.mean, std=spec.std or data.std, input_size=data.size, classes=data.classes
    )


def build_normalization(network: nn.Module, data: ImageData, size: tuple[int, int] | None = None) -> Normalization:
    """Returns the network's own normalisation, the data's where it has none; images are resized to ``size`` (H, W)."""
    spec = network.spec
    assert isinstance(spec, ModelSpec)
    return Normalization(spec.mean or data.mean, spec.std or data.std, size)


def _class_difference(teacher: Teacher, data: ImageData) -> str | None:
    """Says how the teacher's classes differ from the data's; None where they are the same, or as many and unnamed."""
    spec = teacher.network.spec
    assert isinstance(spec, ModelSpec)
    if spec.num_classes != len(data.classes):
        return f"it has {spec.num_classes}, {data.name} has {len(data.classes)}"
    for place, (own, theirs) in enumerate(zip(spec.classes or data.classes, data.classes)):
        if own != theirs:
            return f"class {place} is '{own}' for the teacher and '{theirs}' in {data.name}"
    return None
