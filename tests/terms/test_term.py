"""A term keeps of the teacher what its loss needs, and matches the student with it."""

from __future__ import annotations

import torch
from torch import nn

from tutelage.terms import LOGITS, Stage, Term


def build(connector: nn.Module | None = None) -> Term:
    return Term(
        "sum",
        2.0,
        ("a", "b"),
        ("c",),
        target=lambda c: c.sum(),
        match=lambda a, b, target: ((a + b).sum() - target) ** 2,
        connector=connector,
    )


def test_target_is_detached_and_the_match_is_not() -> None:
    teacher = {"c": torch.ones(3, requires_grad=True)}
    student = {name: torch.ones(2, requires_grad=True) for name in ("a", "b")}
    term = build()
    target = term.target(teacher)
    assert not target.requires_grad and target == 3
    loss = term(student, target)
    assert loss.item() == 1.0
    loss.backward()
    assert student["a"].grad.tolist() == [2.0, 2.0]


def test_the_connector_stands_before_the_match() -> None:
    connector = nn.Linear(2, 2, bias=False)
    nn.init.constant_(connector.weight, 1.0)
    features = {"a": torch.ones(2), "b": torch.zeros(2)}
    assert build(connector)(features, torch.tensor(3.0)).item() == 1.0


def test_a_stage_reads_each_tap_once_and_knows_how_deep_it_goes() -> None:
    logits = Term("kd", 1.0, (LOGITS,), (LOGITS,), lambda t: t, lambda s, t: s.sum())
    hint = Stage("hint", 1, (build(), build()), task_weight=0.0)
    assert hint.student_taps == ("a", "b") and hint.teacher_taps == ("c",)
    assert not hint.student_logits and not hint.teacher_logits
    both = Stage("kd", 1, (build(), logits), task_weight=0.0)
    assert both.student_logits and both.teacher_logits and both.student_taps == ("a", "b")
    assert Stage("train", 1).student_logits
