"""From methods and two networks to stages: probe both, plan, check that the classes agree."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn as nn
from torch import Tensor

from tutelage.distillation.gradients import require_second_derivative
from tutelage.distillation.teacher import Teacher
from tutelage.errors import TutelageError
from tutelage.methods import Method, Pair, plan
from tutelage.models import ModelSpec
from tutelage.taps import Probe
from tutelage.terms import Stage


def make_stages(
    methods: Mapping[str, Method],
    student: nn.Module,
    teacher: Teacher | None,
    input_size: int | tuple[int, int] | None,
    epochs: int,
) -> list[Stage]:
    """Returns the stages of a method, or of a sum of methods by name, for this student under this teacher.

    ``input_size`` is the images' (H, W), or side; where it is None, it is the student's own. Every network is
    probed once in eval mode. Raises :class:`TutelageError` where a tap does not exist, the methods cannot be joined, or
    a term reads the teacher's logits and the teacher's classes are not as many as the student's, or a student cannot be
    differentiated as often as a term needs.
    """
    learning = [name for name, method in methods.items() if method.needs_teacher]
    if teacher is None and learning:
        raise TutelageError(f"method={'+'.join(learning)} needs a teacher: give teacher=RUN or teacher=timm/NAME")
    size = (input_size, input_size) if isinstance(input_size, int) else input_size or native_size(student)
    student_probe = Probe(student, size)
    members = teacher.members if teacher is not None else []
    probes = [Probe(member.network, member.input_size or size) for member in members]
    for member in members:
        _check_numbers(member, size)
    stages = plan(methods, Pair(student_probe, probes[0] if probes else None, epochs, max(1, len(members))))
    if any(stage.teacher_logits for stage in stages):
        for member, probe in zip(members, probes):
            check_classes(None if member.headless else probe.num_classes, student_probe.num_classes)
    if any(stage.image_gradient for stage in stages):
        require_second_derivative(student, size)
    return stages


def check_classes(teacher: int | None, classes: int | None) -> None:
    """Raises :class:`TutelageError` unless the teacher's classes are as many as the data's."""
    if teacher != classes:
        have = "has no classifier" if teacher is None else f"has {teacher} classes"
        raise foreign_classes(f"the teacher {have}, the data have {classes}, and the method matches its logits")


def foreign_classes(difference: str) -> TutelageError:
    """Returns the error for a teacher whose classes are not the data's, with the ways out."""
    return TutelageError(
        f"{difference}. Either fine-tune it first (teacher.finetune=head, or full; or by itself: tutelage train data=… "
        f"model=TEACHER model.weights=pretrained out=runs/teacher, then teacher=runs/teacher), or match its classes to "
        f"the data's by name, where they are among its own (teacher.classes=own or imagenet-1k), or choose a method "
        f"that reads features only (such as method=at)"
    )


def _check_numbers(teacher: Teacher, size: tuple[int, int]) -> None:
    """Raises :class:`TutelageError` where a teacher's weights, or what it gives for noise, are no numbers."""
    state = teacher.network.state_dict()
    broken = [name for name, value in state.items() if value.is_meta or (value.is_floating_point() and _has_nan(value))]
    if broken:
        raise TutelageError(
            f"the teacher's weights hold NaN, or nothing ({', '.join(broken[:4])}): load them again, or take "
            f"an earlier checkpoint of their training"
        )
    # Not a black image, by whose deviation a network may well divide.
    noise = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(0))
    given = teacher(noise.to(next(iter(state.values()), noise).device))
    if _has_nan(given) or given.isposinf().any():
        raise TutelageError(
            "the teacher gives NaN or infinity for an image of noise: are its mean, std and input size right, and its "
            "precision (half of it overflows beyond 65,504)?"
        )


def _has_nan(values: Tensor) -> bool:
    return bool(values.isnan().any())


def native_size(model: nn.Module) -> tuple[int, int]:
    """Returns the (H, W) a network was made for: what it says of itself, else 32 for this package's, 224 for others."""
    spec = getattr(model, "spec", None)
    if isinstance(spec, ModelSpec):
        usual: tuple[int, int] = getattr(model, "usual_size", (32, 32))
        return spec.input_size or usual
    configured = getattr(model, "pretrained_cfg", None) or {}
    return tuple(configured.get("input_size", (3, 224, 224))[1:])
