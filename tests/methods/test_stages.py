"""How methods share out epochs, join in sums, and treat what is frozen."""

from __future__ import annotations

import pytest
import torch

from harness.cases import SIZE, Case, batch, build, networks
from tutelage.distillation import Distiller, Teacher
from tutelage.errors import TutelageError
from tutelage.methods import parse


def stages_of(method: str, **settings: dict[str, object]) -> list[object]:
    return build(Case("", method, settings)).stages


def test_two_stages_share_the_epochs() -> None:
    hint, kd = stages_of("fitnets")
    assert (hint.name, hint.epochs, hint.task_weight) == ("hint", 1, 0.0)
    assert (kd.name, kd.epochs) == ("kd", 4)
    assert [term.name for term in kd.terms] == ["kd"] and kd.task_weight == pytest.approx(0.1)


def test_terms_of_a_sum_join_the_last_stage_of_the_staged_method() -> None:
    hint, last = stages_of("at+fitnets")
    assert [term.name for term in hint.terms] == ["hint.layer2"]
    assert [term.name for term in last.terms] == ["kd", "at.layer1", "at.layer2", "at.layer3"]
    assert last.task_weight == pytest.approx(0.1)


def test_kd_in_a_sum_sets_the_weight_of_the_labels() -> None:
    (stage,) = stages_of("at+kd", kd={"alpha": 0.3})
    assert stage.task_weight == pytest.approx(0.7)
    assert [term.name for term in stage.terms] == ["at.layer1", "at.layer2", "at.layer3", "kd"]


def test_kd_beside_fitnets_takes_the_place_of_its_own() -> None:
    _, last = stages_of("fitnets+kd", kd={"alpha": 0.5, "temperature": 2.0})
    assert [(term.name, term.weight) for term in last.terms] == [("kd", 0.5)]
    assert last.task_weight == pytest.approx(0.5)


@pytest.mark.parametrize(
    "names, message", [("none+kd", "'none'"), ("kd+kd", "twice"), ("kd+att", "unknown method 'att'")]
)
def test_sums_that_make_no_sense(names: str, message: str) -> None:
    with pytest.raises(TutelageError, match=message):
        parse(names)


def test_a_hint_stage_needs_an_epoch_beside_it() -> None:
    student, teacher = networks()
    with pytest.raises(TutelageError, match="raise epochs"):
        Distiller(student, teacher, "fitnets", input_size=SIZE, epochs=1)


def test_the_hint_stage_trains_the_guided_part_and_leaves_the_rest_bit_identical() -> None:
    distiller = build(Case("", "fitnets", {})).train()
    before = {name: value.clone() for name, value in distiller.student.state_dict().items()}
    optimizer = torch.optim.AdamW([p for p in distiller.parameters() if p.requires_grad], lr=1e-2)
    out = distiller(batch()[0])
    assert out.logits is None
    out.loss.backward()
    optimizer.step()
    changed = {name for name, value in distiller.student.state_dict().items() if not torch.equal(value, before[name])}
    untouched = {name for name in before if name.startswith(("layer3", "fc"))}
    assert untouched and not changed & untouched
    assert {name for name in before if name.startswith(("conv1", "layer1.0.conv", "layer2.0.conv"))} <= changed


def test_the_networks_run_no_deeper_than_the_hint() -> None:
    distiller = build(Case("", "fitnets", {})).train()
    ran: list[str] = []
    reader = distiller._reader[0]
    for name, module in reader.named_modules():
        module.register_forward_hook(lambda *_, name=name: ran.append(name))
    distiller(batch()[0])
    assert any(name.startswith("layer2") for name in ran)
    assert not any(name.startswith(("layer3", "fc")) for name in [n for n, _ in reader.named_parameters()] + ran)


def test_the_second_stage_trains_the_whole_student() -> None:
    distiller = build(Case("", "fitnets", {})).train()
    distiller.enter(1)
    assert all(p.requires_grad for p in distiller.student.parameters())
    assert not list(distiller.terms.parameters())


def test_taps_by_hand() -> None:
    (stage,) = stages_of("at", at={"taps": {"block3": "layer2.0.relu2"}})
    assert [(term.teacher_taps, term.student_taps) for term in stage.terms] == [(("block3",), ("layer2.0.relu2",))]


def test_an_unknown_tap_names_the_nearest() -> None:
    with pytest.raises(TutelageError, match="layer3"):
        stages_of("at", at={"taps": {"block3": "layerr3"}})


def test_classes_that_differ_stop_before_training() -> None:
    from tutelage.models import create_model

    with pytest.raises(TutelageError, match="7 classes.*5.*tutelage train"):
        Distiller(create_model("resnet8", 5), create_model("resnet8", 7), "kd", input_size=SIZE)
    out = Distiller(create_model("resnet8", 5), Teacher(create_model("resnet8", 7)), "at", input_size=SIZE)(*batch())
    assert torch.isfinite(out.loss)


def test_the_labels_are_asked_for() -> None:
    with pytest.raises(TutelageError, match="labels"):
        build(Case("", "kd", {}))(batch()[0])
