"""Checks of teacher and student before training: classes, finite numbers, second derivatives."""

from __future__ import annotations

import torch
import torch.nn as nn
from torch import Tensor

from tutelage.distillation.reading import modules_at, places_of, read_batch, read_taps
from tutelage.distillation.teacher import Teacher
from tutelage.errors import TutelageError
from tutelage.taps import tapped
from tutelage.terms import Stage


def check_classes(teacher: int | None, classes: int | None) -> None:
    """Check that the teacher has as many classes as the data; None means that it has no classifier.

    Raises:
        TutelageError: If the numbers differ.
    """
    if teacher != classes:
        have = "has no classifier" if teacher is None else f"has {teacher} classes"
        raise foreign_classes(f"the teacher {have}, the data have {classes}, and the method matches its logits")


def foreign_classes(difference: str) -> TutelageError:
    """Return the error for a teacher whose classes differ from those of the data, with the remedies.

    Example:
        >>> str(foreign_classes("the teacher has 7 classes, the data have 5")).split(". ")[0]
        'the teacher has 7 classes, the data have 5'
    """
    return TutelageError(
        f"{difference}. Fine-tune it first (set teacher.finetune=head or full; or run tutelage train data=… "
        f"model=TEACHER model.weights=pretrained out=runs/teacher, and set teacher=runs/teacher), match its classes to "
        f"the data's by name (teacher.classes=own or imagenet-1k), or use a method that only reads features (such as "
        f"method=at)"
    )


def check_finite(teacher: Teacher, size: tuple[int, int]) -> None:
    """Check that a teacher's weights, and its logits for an image of noise of ``size`` (H, W), are finite.

    Raises:
        TutelageError: If they are not, or a weight is on the meta device.
    """
    state = teacher.network.state_dict()
    broken = [name for name, value in state.items() if value.is_meta or (value.is_floating_point() and _has_nan(value))]
    if broken:
        raise TutelageError(
            f"the teacher's weights contain NaN or are not loaded ({', '.join(broken[:4])}); load them again, or use "
            f"an earlier checkpoint of their training"
        )
    # Not a black image, because a network may divide by an image's standard deviation.
    noise = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(0))
    given = teacher(noise.to(next(iter(state.values()), noise).device))
    if _has_nan(given) or given.isposinf().any():
        raise TutelageError(
            "the teacher returns NaN or infinity for an image of noise; check its mean, std, input size and precision "
            "(float16 overflows above 65,504)"
        )


def check_differentiable(student: nn.Module, stage: Stage, size: tuple[int, int]) -> None:
    """Check that the student has second derivatives, if the stage differentiates it with respect to the images.

    This takes one dry pass on black images of ``size`` (H, W). Weights, buffers, gradients and mode do not change.

    Raises:
        TutelageError: If an operation of the student has no second derivative.
    """
    computed = [tap for tap in stage.student_computed if tap.differentiates]
    if not computed:
        return
    places = places_of(student, stage.student_taps)
    reader = tapped(student, modules_at(places), logits=True, frozen=("",))
    parameters = list(reader.parameters())
    images = torch.zeros(2, 3, *size, device=parameters[0].device, dtype=parameters[0].dtype)
    labels = torch.zeros(2, dtype=torch.int64, device=images.device)
    trained = [parameter for parameter in parameters if parameter.requires_grad]
    try:
        features = read_batch(lambda x: read_taps(reader, x, places), images, labels, computed)
        torch.autograd.grad([features[tap].square().sum() for tap in computed], trained, allow_unused=True)
    except RuntimeError as error:
        if "derivative for" not in str(error):
            raise
        raise TutelageError(
            f"stage '{stage.name}' differentiates the student twice, and an operation of this student has no second "
            f"derivative ({error}); use another student, or another method such as method=at"
        ) from None


def _has_nan(values: Tensor) -> bool:
    return bool(values.isnan().any())
