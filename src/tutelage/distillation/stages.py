"""Make the student and the stages of a method: probe the networks, plan, and check."""

from __future__ import annotations

from collections.abc import Mapping

import torch.nn as nn
from torch import Tensor

from tutelage.distillation.base import BaseTeacher
from tutelage.distillation.checks import check_classes, check_differentiable, check_finite
from tutelage.errors import TutelageError
from tutelage.methods import Method, Pair, deployed, methods_by_name, plan
from tutelage.models import ModelSpec
from tutelage.taps import Probe
from tutelage.terms import Stage


def make_stages(
    method: str | Method | Mapping[str, Method],
    student: nn.Module,
    teacher: BaseTeacher | None,
    input_size: int | tuple[int, int] | None,
    epochs: int,
    labels: Tensor | None = None,
    batch_size: int | None = None,
) -> list[Stage]:
    """Return the stages of a method, or of a sum of methods, for this student and teacher.

    Every network is probed once, in eval mode.

    Args:
        method: A name (``kd``), names joined by ``+`` (``kd+at``), a :class:`Method`, or several by name.
        student: The network to train.
        teacher: One teacher or several; None for a method without a teacher.
        input_size: (H, W) or side of the images; if None, the student's native size (:func:`native_size`).
        epochs: Total length of all stages.
        labels: Labels (N,) of the training samples, −1 if unlabeled, for methods that need them (``crd``).
        batch_size: Samples per step over all processes, for methods that need it (``semckd``).

    Raises:
        TutelageError: If a name or tap does not exist, the methods cannot be combined, a teacher returns NaN, a term
            reads the logits of a teacher with another number of classes than the student, or a term needs second
            derivatives that the student does not have.

    Example:
        >>> from tutelage import Teacher, create_model
        >>> student, teacher = create_model("resnet8", 5), Teacher(create_model("resnet14", 5))
        >>> [(stage.name, stage.epochs) for stage in make_stages("fitnets", student, teacher, 16, epochs=10)]
        [('hint', 2), ('kd', 8)]
    """
    methods = methods_by_name(method)
    probed, probes = _probe(methods, student, teacher, input_size)
    stages = plan(methods, _pair(probed, probes, epochs, labels, batch_size))
    if teacher is not None and any(stage.teacher_logits for stage in stages):
        for member, probe in zip(teacher.members, probes):
            check_classes(None if member.headless else probe.num_classes, probed.num_classes)
    for stage in stages:
        check_differentiable(student, stage, probed.input_size)
    return stages


def deploy(
    method: str | Method | Mapping[str, Method],
    student: nn.Module,
    teacher: BaseTeacher | None,
    input_size: int | tuple[int, int] | None,
) -> nn.Module:
    """Return the network that a method trains and deploys: the student, or an extended copy of it (``simkd``).

    Args:
        method: As for :func:`make_stages`, whose ``student`` is the network returned.
        student: The network to start from.
        teacher: One teacher or several; None for a method without a teacher.
        input_size: (H, W) or side of the images; if None, the student's native size.

    Raises:
        TutelageError: If the method cannot extend this student.

    Example:
        >>> from tutelage import Teacher, create_model
        >>> student, teacher = create_model("resnet8", 5), Teacher(create_model("wrn_10_2", 5))
        >>> deploy("kd", student, teacher, 16) is student, deploy("simkd", student, teacher, 16).fc.in_features
        (True, 128)
    """
    methods = methods_by_name(method)
    if not any(method.deploys for method in methods.values()):  # probing takes time
        return student
    return deployed(methods, _pair(*_probe(methods, student, teacher, input_size), epochs=1))


def _probe(
    methods: Mapping[str, Method],
    student: nn.Module,
    teacher: BaseTeacher | None,
    input_size: int | tuple[int, int] | None,
) -> tuple[Probe, list[Probe]]:
    """Return the probed student and teachers."""
    taught = [name for name, method in methods.items() if method.needs_teacher]
    if teacher is None and taught:
        raise TutelageError(f"method={'+'.join(taught)} needs a teacher; set teacher=RUN or teacher=timm/NAME")
    size = (input_size, input_size) if isinstance(input_size, int) else input_size or native_size(student)
    probed = Probe(student, size)
    members = teacher.members if teacher is not None else []
    probes = [Probe(member.network, member.input_size or size) for member in members]
    for member in members:
        check_finite(member, size)
    return probed, probes


def _pair(
    student: Probe, teachers: list[Probe], epochs: int, labels: Tensor | None = None, batch_size: int | None = None
) -> Pair:
    return Pair(student, teachers[0] if teachers else None, epochs, max(1, len(teachers)), labels, batch_size)


def native_size(model: nn.Module) -> tuple[int, int]:
    """Return the (H, W) that a network is designed for.

    If the network does not declare it, it is 32 pixels for tutelage's networks and 224 for others.

    Example:
        >>> from tutelage import create_model
        >>> native_size(create_model("resnet8", 5))
        (32, 32)
    """
    spec = getattr(model, "spec", None)
    if isinstance(spec, ModelSpec):
        usual: tuple[int, int] = getattr(model, "usual_size", (32, 32))
        return spec.input_size or usual
    configured = getattr(model, "pretrained_cfg", None) or {}
    return tuple(configured.get("input_size", (3, 224, 224))[1:])
