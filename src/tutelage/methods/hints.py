"""The term that regresses a teacher's feature map, for FitNets and for training on feature maps."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Literal

import torch
import torch.nn as nn

from tutelage.losses import hint_match, hint_target
from tutelage.methods.base import Pair
from tutelage.terms import Kept, Term

HintForm = Literal["mean", "paper", "normalized"]


def hint_term(
    name: str,
    pair: Pair,
    teacher_tap: str,
    student_tap: str,
    weight: float,
    form: HintForm,
    build: Callable[..., nn.Module],
) -> Term:
    """Return the term ``name.STUDENT_TAP``: the hint loss between a teacher's map and the student's, with a connector.

    The larger map is pooled to the smaller. ``build(student shape, teacher shape, relu=…)`` makes the connector, with a
    ReLU if the teacher's map is the output of an activation.
    """
    teacher, student = pair.shapes(teacher_tap, student_tap)
    connector = build(student, teacher, relu=pair.after_activation(teacher_tap)).eval()
    size = connector(torch.zeros(1, *student)).shape[2:]
    return Term(
        f"{name}.{student_tap}",
        weight,
        (student_tap,),
        (teacher_tap,),
        partial(hint_target, size=size, form=form),
        partial(hint_match, form=form),
        connector.train(),
        kept=Kept.of("features", "hint", teacher_tap, size=tuple(size), normalized=form == "normalized"),
    )
