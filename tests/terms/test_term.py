"""A term keeps of the teacher what its loss needs, and matches the student with it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tutelage.terms import EPOCH, INDEX, LABELS, LOGITS, Stage, Term, WarmUp


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
    class Joint(nn.Module):
        def forward(self, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
            return 2 * a, b + 1

    features = {"a": torch.ones(2), "b": torch.zeros(2)}
    assert build(Joint())(features, torch.tensor(3.0)).item() == 9.0


def test_labels_index_and_epoch_come_after_the_target() -> None:
    seen = []
    term = Term(
        "t", 1.0, ("a", LABELS, EPOCH, INDEX), (), lambda: (), lambda *given: seen.append(given), nn.Linear(2, 1)
    )
    labels, epoch, index = torch.tensor([1]), torch.tensor(4), torch.tensor([7])
    term({"a": torch.ones(1, 2), LABELS: labels, EPOCH: epoch, INDEX: index}, term.target({}))
    (adapted, target, *batch) = seen[0]
    assert adapted.shape == (1, 1) and target == () and batch == [labels, epoch, index]
    stage = Stage("train", 1, (term,), task_weight=0.0)
    assert stage.student_taps == ("a",) and not stage.student_logits and stage.terms_need_labels and stage.needs_index


def test_the_weight_follows_the_epoch() -> None:
    term = Term("t", 8.0, ("a",), (), lambda: (), lambda *_: 0.0, weighting=WarmUp(4))
    assert [term.weight_at(step / 20, epochs=10) for step in (0, 1, 2, 4, 6, 20)] == [2, 2, 4, 6, 8, 8]


def test_a_stage_reads_each_tap_once_and_knows_how_deep_it_goes() -> None:
    logits = Term("kd", 1.0, (LOGITS,), (LOGITS,), lambda t: t, lambda s, t: s.sum())
    hint = Stage("hint", 1, (build(), build()), task_weight=0.0)
    assert hint.student_taps == ("a", "b") and hint.teacher_taps == ("c",)
    assert not hint.student_logits and not hint.teacher_logits
    both = Stage("kd", 1, (build(), logits), task_weight=0.0)
    assert both.student_logits and both.teacher_logits and both.student_taps == ("a", "b")
    assert Stage("train", 1).student_logits
