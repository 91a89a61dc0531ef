"""What a method needs, and what it costs: read from the terms that it builds for an example pair of networks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Literal

import torch
from torch import nn

from tutelage.errors import TutelageError
from tutelage.methods.base import Method, Pair
from tutelage.models import create_model
from tutelage.taps import Probe
from tutelage.terms import Stage, Term

STUDENT, TEACHER, NARROW_TEACHER = "resnet8", "wrn_10_4", "wrn_10_1"
"""The networks of the example, and a teacher with the student's channels."""
CLASSES = 100

Teacher = Literal["none", "any", "head", "channels", "classes"]
"""What the teacher must have: any classifier, the student's channels at the tapped layers, or the data's classes.

``none``: the method has no teacher. ``any``: the teacher needs none of these.
"""


@dataclass(frozen=True)
class Traits:
    """Needs and costs of a method."""

    teacher: Teacher
    labels: bool
    """Whether its loss needs labels, beside the cross-entropy: those of the batch, or of the whole training set."""
    batch: bool
    """Whether its loss relates the samples of a batch to each other."""
    cache: Literal["yes", "large", "no"] | None
    """Whether its targets can be stored: always, only with ``cache.features``, never; None without a teacher."""
    parameters: int
    """Number of parameters beside the student's, for the example pair."""
    deployed: bool
    """Whether some of them are deployed with the student."""
    stages: int
    second_derivatives: bool
    """Whether it differentiates the student twice."""


def traits_of(method: Method) -> Traits:
    """Return the traits of a method with its settings.

    Example:
        >>> from tutelage.methods import METHODS
        >>> traits = traits_of(METHODS["dkd"]())
        >>> traits.teacher, traits.labels, traits.cache
        ('classes', True, 'yes')
    """
    pair = _extended(method, _pair(TEACHER if _fits(method, _pair(TEACHER)) else NARROW_TEACHER))
    stages = method.stages(pair)
    terms = [term for stage in stages for term in stage.terms]
    trained = {id(p): p.numel() for term in terms for p in term.parameters() if p.requires_grad}
    return Traits(
        teacher=_teacher(method, stages),
        labels=any(stage.terms_need_labels or stage.needs_index for stage in stages),
        batch=any(term.relational for term in terms),
        cache=_cache([term for term in terms if term.teacher_taps]),
        parameters=sum(trained.values()) + _size(pair.student) - _size(_probe(STUDENT)),
        deployed=bool(method.deploys),
        stages=len(stages),
        second_derivatives=any(stage.differentiates for stage in stages),
    )


def _teacher(method: Method, stages: Sequence[Stage]) -> Teacher:
    if not any(stage.needs_teacher for stage in stages):
        return "none"
    if any(stage.teacher_logits for stage in stages):
        return "classes"
    if not _fits(method, _pair(TEACHER)):
        return "channels"
    return "any" if _fits(method, _pair(TEACHER, headless=True)) else "head"


def _cache(terms: Sequence[Term]) -> Literal["yes", "large", "no"] | None:
    """Return whether the targets of the terms that read the teacher can be stored."""
    if not terms:
        return None
    if any(term.kept is None for term in terms):
        return "no"
    return "large" if any(term.kept is not None and term.kept.kind == "features" for term in terms) else "yes"


def _fits(method: Method, pair: Pair) -> bool:
    try:
        method.stages(_extended(method, pair))
    except TutelageError:
        return False
    return True


def _extended(method: Method, pair: Pair) -> Pair:
    """Return the pair with the student that the method deploys."""
    if not method.deploys:
        return pair
    return replace(pair, student=Probe(method.deployed(pair), pair.student.input_size))


def _size(student: Probe) -> int:
    return sum(p.numel() for p in student.model.parameters())


@cache
def _probe(network: str, headless: bool = False) -> Probe:
    model = create_model(network, num_classes=CLASSES)
    if headless:
        model.fc = nn.Identity()
    return Probe(model, (32, 32))


def _pair(teacher: str, headless: bool = False) -> Pair:
    labels = torch.arange(CLASSES)
    return Pair(_probe(STUDENT), _probe(teacher, headless), epochs=10, labels=labels, batch_size=64)
