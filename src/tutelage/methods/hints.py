"""Hint term, in which the student regresses a feature map of the teacher; used by FitNets and FeatureMaps."""

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
    """Return the term ``NAME.STUDENT_TAP``: the hint loss between the connector's output and the teacher's map.

    The larger map is pooled to the smaller one.

    Args:
        name: Prefix of the term's name.
        pair: The probed networks.
        teacher_tap: Tap of the teacher's map.
        student_tap: Tap of the student's map.
        weight: Weight of the term.
        form: Form of ``hint_loss``.
        build: Function of the two shapes (C, H, W), student first, and ``relu`` that returns the connector. ``relu`` is
            True if the teacher's map is the output of an activation.
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
