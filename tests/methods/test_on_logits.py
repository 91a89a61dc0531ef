"""What is special to single methods on logits: weights, warm-ups, what settings imply, and state."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from harness.cases import CLASSES, Case, batch, build
from tutelage.distillation import Distiller
from tutelage.errors import TutelageError
from tutelage.methods import METHODS
from tutelage.terms import Stage

ALL = ("dkd", "dist", "ttm", "nkd", "rld", "skd", "ctkd", "gkl", "wkd_l", "wsld", "ldrld")


def distiller_of(method: str, **settings: object) -> Distiller:
    return build(Case("", method, {method: settings}))


def weights(stage: Stage, epoch: int) -> dict[str, float]:
    """The weights of the terms in the middle of an epoch."""
    return {term.name: term.weight_at((epoch + 0.5) / stage.epochs, stage.epochs) for term in stage.terms}


@pytest.mark.parametrize("method", ["dkd", "rld", "gkl"])
def test_the_weight_rises_over_the_warm_up(method: str) -> None:
    (stage,) = distiller_of(method, warmup=4).stages
    assert [weights(stage, epoch)[method] for epoch in range(5)] == [0.25, 0.5, 0.75, 1.0, 1.0]
    (stage,) = distiller_of(method, warmup=0).stages
    assert weights(stage, 0)[method] == 1.0


def test_the_transport_of_wkd_l_fades_and_the_label_stays() -> None:
    (stage,) = build(Case("", "wkd_l", {"wkd_l": {"decay_from": 0.5}}, epochs=4)).stages
    found = [weights(stage, epoch) for epoch in range(4)]
    assert [each["wkd_l"] for each in found] == pytest.approx([200, 200, 200, 100])
    assert {each["wkd_l.label"] for each in found} == {1.0}


@pytest.mark.parametrize(
    ("method", "settings", "implied"),
    [
        ("dkd", {}, {"temperature": 4.0, "alpha": 1.0, "beta": 8.0}),
        ("dkd", {"standardize": True}, {"temperature": 2.0, "alpha": 9.0, "beta": 72.0}),
        ("dkd", {"standardize": True, "beta": 54}, {"temperature": 2.0, "alpha": 9.0, "beta": 54.0}),
        ("ttm", {}, {"weight": 45.0, "gamma": 0.1}),
        ("ttm", {"weighted": True}, {"weight": 4.0, "gamma": 0.2}),
        ("ttm", {"weighted": True, "weight": 7}, {"weight": 7.0, "gamma": 0.2}),
    ],
)
def test_a_setting_implies_others_that_are_not_set(method: str, settings: dict, implied: dict) -> None:
    made = METHODS[method](**settings)
    assert implied.items() <= made.model_dump().items()
    assert METHODS[method](**made.model_dump()) == made


def test_all_methods_on_logits_can_be_added_up() -> None:
    distiller = build(Case("", "+".join(("kd", *ALL)), {}))
    out = distiller.train()(*batch())
    out.loss.backward()
    assert out.terms.keys() == {"ce", "kd", "wkd_l.label", *ALL} and torch.isfinite(out.loss)
    assert len({term.kept for term in distiller.stage.terms}) == 1


@pytest.mark.parametrize("method", [name for name in ALL if name != "wkd_l"])
def test_several_teachers_are_one_whose_logits_are_their_mean(method: str) -> None:
    distiller = build(Case("", method, {}, teachers=("wrn_10_2", "resnet8"))).train()
    images, labels = batch()
    assert distiller.teacher is not None
    logits = torch.stack([member(images) for member in distiller.teacher.members]).mean(0)
    torch.testing.assert_close(distiller.targets(images), [logits])
    assert torch.isfinite(distiller(images, labels).loss)


def test_classes_are_compared_by_the_classifier_of_one_teacher() -> None:
    with pytest.raises(TutelageError, match="method=wkd_l.*several teachers.*set one teacher"):
        build(Case("", "wkd_l", {}, teachers=("wrn_10_2", "resnet8")))
    (stage,) = distiller_of("wkd_l").stages
    assert not any(term.state_dict() for term in stage.terms)


def test_the_best_classes_are_all_where_there_are_fewer() -> None:
    images, labels = batch()
    values = [distiller_of("ldrld", k=k).train()(images, labels).terms["ldrld"] for k in (CLASSES, 7)]
    assert values[0] == values[1]


def test_the_temperature_learns_to_make_the_task_harder() -> None:
    def gradient(epoch: int, **settings: float) -> float:
        distiller = distiller_of("ctkd", **settings).train()
        distiller.progress = epoch / distiller.stage.epochs
        distiller(*batch()).loss.backward()
        (theta,) = distiller.terms.parameters()
        assert theta.grad is not None
        return theta.grad.item()

    true = gradient(0, start=1.0, end=1.0)
    assert gradient(4, curriculum=5) == pytest.approx(-true)
    assert gradient(0, curriculum=2) == pytest.approx(-true / 2)


def test_class_means_are_those_of_the_epoch_before() -> None:
    distiller = distiller_of("gkl", version=1, warmup=0, alpha=0.0, beta=1.0).train()
    parts = [batch(4, seed=seed) for seed in (1, 2)]
    for images, labels in parts:
        distiller(images, labels)
    resumed = distiller_of("gkl", version=1, warmup=0, alpha=0.0, beta=1.0).train()
    resumed.load_state_dict(distiller.state_dict())
    for each in (distiller, resumed):
        each.progress = 0.2
    assert distiller(*parts[0]).loss == resumed(*parts[0]).loss

    (term,) = distiller.stage.terms
    probabilities = torch.cat([F.softmax(distiller.targets(images)[0] / 4, 1) for images, _ in parts])
    labels = torch.cat([labels for _, labels in parts])
    uniform = torch.full((CLASSES,), 1 / CLASSES)
    for label in range(CLASSES):
        own = probabilities[labels == label]
        expected = own.mean(0) if len(own) else uniform
        torch.testing.assert_close(term._match.bank.means[label], expected)


def test_class_means_do_not_change_in_eval_mode() -> None:
    distiller = distiller_of("gkl").eval()
    distiller(*batch())
    (term,) = distiller.stage.terms
    assert not term._match.bank.sums.any()
